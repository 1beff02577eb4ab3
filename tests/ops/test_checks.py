import numpy as np
import pytest
import tensorflow as tf

from gsp_tf.ops import checks


def test_numbers():
    assert checks.check_number("mu", np.float32(0.5), low=0, high=1) == 0.5
    assert checks.check_number("mu", 0, low=0) == 0.0
    for value in (-0.1, 1.1, float("nan"), float("inf"), "0.5", None, True, [0.5]):
        with pytest.raises(ValueError, match=r"mu must be a number in \[0, 1\]; got "):
            checks.check_number("mu", value, low=0, high=1)
    with pytest.raises(ValueError, match=r"epsilon must be a number in \(0, inf\); got 0"):
        checks.check_number("epsilon", 0, low=0, low_open=True)


def test_counts():
    assert checks.check_count("m", np.int64(3)) == 3
    for value in (0, -1, 2.0, "2", True, None):
        with pytest.raises(ValueError, match="m must be a whole number of at least 1; got "):
            checks.check_count("m", value)


def test_choices():
    assert checks.check_choice("reduce", "max", ("sum", "max")) == "max"
    with pytest.raises(ValueError, match="reduce must be one of 'sum', 'max'; got 'mean'"):
        checks.check_choice("reduce", "mean", ("sum", "max"))


def test_floating():
    checks.check_floating("x", tf.zeros(1, tf.bfloat16))
    with pytest.raises(TypeError, match=r"x must hold .* got dtype uint8: convert it, for example with tf.cast\(x, tf.float32\)"):
        checks.check_floating("x", tf.zeros(1, tf.uint8))


def test_rank():
    checks.check_rank("x", np.zeros((2, 3)), (2,), "(B, D)")
    checks.check_rank("x", tf.TensorSpec(None), (2,), "(B, D)")
    with pytest.raises(ValueError, match=r"x must have shape \(B, D\); got shape \(2,\) of rank 1"):
        checks.check_rank("x", np.zeros(2), (2,), "(B, D)")


def test_half_precision_is_computed_in_float32():
    assert [checks.solver_dtype(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")] == [
        tf.float32, tf.float32, tf.float32, tf.float64,
    ]


@pytest.mark.parametrize("value", [0.3, np.float64(0.3), [0.3], tf.constant(0.3, tf.float64), tf.Variable(0.3, dtype=tf.float64)])
def test_scalars_keep_their_digits(value):
    tensor = checks.as_scalar_or_batch("mu", value, tf.float64, 0, 1)
    assert tensor.dtype == tf.float64
    assert np.all(tensor.numpy() == 0.3)


def test_scalars_out_of_range():
    with pytest.raises(ValueError, match=r"mu must be in \(0, 1\]; got 1.5"):
        checks.as_scalar_or_batch("mu", [0.5, 1.5], tf.float32, 0, 1)
    with pytest.raises(ValueError, match=r"epsilon must be in \(0, inf\); got nan"):
        checks.as_scalar_or_batch("epsilon", float("nan"), tf.float32, 0, None)
    with pytest.raises(ValueError, match=r"mu must have shape \(\) or \(B,\); got shape \(1, 1\) of rank 2"):
        checks.as_scalar_or_batch("mu", [[0.5]], tf.float32, 0, 1)
    function = tf.function(lambda mu: checks.as_scalar_or_batch("mu", mu, tf.float32, 0, 1))
    assert function(tf.constant(0.5)) == 0.5
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"mu must be in \(0, 1\]"):
        function(tf.constant(0.0))
