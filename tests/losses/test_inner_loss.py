import pytest

from gsp_tf.losses.contrastive import ContrastiveLoss
from gsp_tf.losses.generalized_contrastive import GeneralizedContrastiveLoss
from gsp_tf.losses.inner_loss import check_loss, deserialize_loss, loss_layers, serialize_loss
from gsp_tf.losses.proxy_anchor import ProxyAnchorLoss


@pytest.mark.parametrize("loss", [ContrastiveLoss(0.1, 0.7), ProxyAnchorLoss(3, 2, alpha=8.0)])
def test_there_and_back(loss):
    copy = deserialize_loss(serialize_loss(loss))
    assert type(copy) is type(loss) and copy.get_config() == loss.get_config()
    assert deserialize_loss(serialize_loss(None)) is None


def test_layers():
    trainable, layer = GeneralizedContrastiveLoss(0.2, 0.9, num_classes=3), ProxyAnchorLoss(3, 2)
    assert loss_layers(trainable) == [trainable.margins]
    assert loss_layers(layer) == [layer]
    assert loss_layers(ContrastiveLoss()) == loss_layers(None) == loss_layers(max) == []


def test_check():
    assert check_loss("loss", max) is max
    with pytest.raises(TypeError, match="loss must be a loss that is called as .*; got None"):
        check_loss("loss", None)
