import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.ops.labels import as_class_indices, as_labels, check_one_each


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_every_form_of_labels_is_the_same(dtype, shape):
    labels = as_labels(np.array([4, 0, 100], dtype).reshape(shape))
    assert labels.dtype == tf.int64
    assert labels.numpy().tolist() == [4, 0, 100]


def test_symbolic_labels():
    function = tf.function(as_labels, input_signature=[tf.TensorSpec((None, None), tf.float32)])
    assert function(tf.constant([[3.0], [1.0]])).numpy().tolist() == [3, 1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be whole numbers"):
        function(tf.constant([[0.5], [1.0]]))


def test_errors():
    with pytest.raises(ValueError, match=r"labels must have shape \(B,\) or \(B, 1\); got shape \(\) of rank 0"):
        as_labels(3)
    with pytest.raises(ValueError, match=r"labels must be one class index per sample, .* got shape \(2, 3\)"):
        as_labels(np.zeros((2, 3), np.int32))
    with pytest.raises(ValueError, match="labels must be whole numbers, one class index per sample; got fractions"):
        as_labels([0.0, 1.5])
    with pytest.raises(ValueError, match="labels must be whole numbers, one class index per sample; got dtype string"):
        as_labels(["cat", "dog"])


def test_class_indices():
    assert as_class_indices(np.array([[0.0], [2.0]], np.float32), 3).numpy().tolist() == [0, 2]
    compiled = tf.function(as_class_indices)
    assert compiled(tf.constant([0, 2]), 3).numpy().tolist() == [0, 2]
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=rf"labels must be class indices in \[0, 3\); got {wrong}: set"):
            as_class_indices([0, wrong], 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be class indices in \[0, 3\)"):
            compiled(tf.constant([0, wrong]), 3)


def test_one_label_each():
    check_one_each("labels", tf.zeros(3), "embeddings", tf.zeros((3, 2)))
    check_one_each("labels", tf.TensorSpec((None,)), "embeddings", tf.zeros((3, 2)))
    with pytest.raises(ValueError, match="labels must be as many as embeddings, 3; got 1"):
        check_one_each("labels", tf.zeros(1), "embeddings", tf.zeros((3, 2)))
