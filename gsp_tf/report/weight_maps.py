"""Where a pooling looks, for the page."""

from typing import NamedTuple

from gsp_tf.report.page_thumbnail import SHOWN, data_uri
from gsp_tf.report.plots import choose_examples
from gsp_tf.training.embedding import embed
from gsp_tf.training.thumbnails import shrink
from gsp_tf.training.weight_overlay import brightest, relative_weights, weight_overlay

EXAMPLES = 6


class WeightMaps(NamedTuple):
    """``examples``: tuples of a class's name, an image and the image under its weights; ``top``: the brightest."""

    examples: list
    top: float


def weight_maps(embedder, dataset):
    """Draw the pooling's weights over one image each of some classes; None for a pooling that has no map of weights.

    Args:
        embedder: of :func:`gsp_tf.training.run.load_embedder`.
        dataset: of :func:`gsp_tf.training.build.build_dataset`.
    """
    # Tokens (B, n) have no places on the image.
    if "weights" not in embedder.output or len(embedder.output["weights"].shape) != 3:
        return None
    chosen = choose_examples(dataset.labels, EXAMPLES)
    images = dataset.evaluation_images(chosen)
    weights = relative_weights(embed(embedder, images)["weights"])
    top = brightest(weights)
    small = shrink(images, SHOWN)
    overlays = weight_overlay(small, weights, top)
    names = [dataset.class_names[dataset.labels[index]] for index in chosen]
    return WeightMaps([(name, data_uri(image), data_uri(overlay))
                       for name, image, overlay in zip(names, small, overlays, strict=True)], top)
