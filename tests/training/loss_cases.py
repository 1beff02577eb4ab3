"""What a run's values need for each loss that a config can name, by the name of the case."""

from gsp_tf.training.build import LOSS_LAYERS, PAIR_LOSSES

# What a loss needs beside its name.
ARGUMENTS = {
    "TripletLoss": {"margin": 0.1},
    "GeneralizedContrastiveLoss": {"alpha": 0.3, "beta": 0.9, "num_classes": 22},
    "IntraBatchLoss": {"num_heads": 2},
}
PROXIES = {"proxies": {"per_class": 2, "lr_multiplier": 10.0}}
CONTRASTIVE = {"name": "ContrastiveLoss"}
CASES = {name: {"loss": {"name": name, **ARGUMENTS.get(name, {})}} for name in [*PAIR_LOSSES, *LOSS_LAYERS]}
CASES["proxies"] = {"loss": CONTRASTIVE, **PROXIES}
CASES["proxies with margins"] = {"loss": CASES["GeneralizedContrastiveLoss"]["loss"], **PROXIES}
CASES["memory"] = {"loss": CONTRASTIVE, "memory": {"size_in_batches": 1, "start_after": 0}}
CASES["projections"] = {"loss": CONTRASTIVE, **PROXIES, "projections": {"pool_size": 3, "patience": 1}}
