import numpy as np
import pytest

from gsp_tf.losses.contrastive import ContrastiveLoss
from gsp_tf.losses.generalized_contrastive import GeneralizedContrastiveLoss
from gsp_tf.losses.proxies import Proxies
from tests.losses.proxy_batches import CLASSES, DIM, LABELS, assert_equals_reference, batch
from tests.reference.contrastive import contrastive


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("count", [1, 2])
def test_value_and_gradient(name, count):
    loss = Proxies(CLASSES, DIM, count, ContrastiveLoss(0.2, 1.3), 3.0, dtype="float64")
    classes = np.repeat(np.arange(CLASSES), count)
    np.testing.assert_array_equal(loss.labels, classes)

    def reference(labels, embeddings, proxies):
        return contrastive(labels, embeddings, 0.2, 1.3, classes, proxies)

    assert_equals_reference(loss, reference, *batch(name))


def test_without_normalisation():
    labels, embeddings = batch("uneven")
    loss = Proxies(CLASSES, DIM, loss=ContrastiveLoss(0.2, 1.3, normalize=False), normalize=False, dtype="float64")
    expected = contrastive(labels, embeddings, 0.2, 1.3, np.arange(CLASSES), loss.values.numpy(), normalize=False)
    np.testing.assert_allclose(loss(labels, embeddings), expected, rtol=1e-9)


def test_values_follow_assign_whatever_the_multiplier():
    proxies = Proxies(2, 3, lr_multiplier=100.0)
    proxies.assign([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_allclose(proxies.values, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], rtol=1e-6)
    np.testing.assert_allclose(proxies.get_weights()[0], [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]], rtol=1e-6)


def test_trains_the_weights_of_its_loss():
    labels, embeddings = batch("uneven")
    inner = GeneralizedContrastiveLoss(0.3, 0.9, num_classes=CLASSES)
    proxies = Proxies(CLASSES, DIM, loss=inner)
    assert [tuple(weight.shape) for weight in proxies.trainable_weights] == [(CLASSES, DIM), (CLASSES,)]
    copy = Proxies.from_config(proxies.get_config())
    copy.set_weights([proxies.get_weights()[0], np.linspace(0.5, 1.5, CLASSES)])
    np.testing.assert_allclose(copy.loss.margins.get_weights()[0], np.linspace(0.5, 1.5, CLASSES), rtol=1e-6)
    assert copy(labels, embeddings) != proxies(labels, embeddings)


def test_errors():
    with pytest.raises(TypeError, match="loss must be a loss that is called as .*; got 'ContrastiveLoss'"):
        Proxies(2, 3, loss="ContrastiveLoss")
    with pytest.raises(ValueError, match="loss must be a pair loss where proxies are called with a batch; got None"):
        Proxies(2, 3)([0, 1], np.ones((2, 3), np.float32))
