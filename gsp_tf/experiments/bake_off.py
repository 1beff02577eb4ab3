"""Compare poolings: every pooling with every loss and seed on the same images, batches and budget.

    python -m gsp_tf.experiments.bake_off --config configs/digits_mixture/bake_off.yaml

The config's ``axes`` are ``pooling`` and ``loss``. Beside what ``train.py`` leaves in the folder there are
``bake_off.md``, ``bake_off.png`` and ``costs.json``. A second start repeats nothing that is finished.
"""

import argparse
import sys

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.commands.train import add_job_arguments, run_job
from gsp_tf.errors import UserError
from gsp_tf.experiments.cost import peak_memory, step_times
from gsp_tf.protocols.evaluated import evaluate_job
from gsp_tf.protocols.protocol import run_directory
from gsp_tf.report.bake_off import bake_off_table, plot_bake_off
from gsp_tf.report.table import notes_text
from gsp_tf.training.build import build_dataset
from gsp_tf.training.checkpoint import read_json, write_json, write_text

DEFAULT_CONFIG = "configs/digits_mixture/bake_off.yaml"


def parser():
    """The command's arguments, those of ``train.py``."""
    return add_job_arguments(argparse.ArgumentParser(
        prog="python -m gsp_tf.experiments.bake_off",
        description="Compare poolings with every loss and seed; go on where an earlier start was stopped.",
    ), DEFAULT_CONFIG)


def bake_off(arguments):
    """Train, measure costs, write the table and the picture."""
    job, directory, chief = run_job(arguments, check=_check_names)
    if not chief:
        return
    found = evaluate_job(directory)
    scores = {}
    for summary in found.summaries:
        pooling, loss = summary.method.split("@")
        scores.setdefault(pooling, {})[loss] = summary
    costs = measure_costs(job, directory)
    table = bake_off_table(scores, costs)
    write_text(directory / "bake_off.md", bake_off_table(scores, costs, "markdown") + "\n")
    title = next(iter(job.methods.values())).data.name.replace("_", " ").title()
    plot_bake_off(scores, directory / "bake_off.png", f"{title}: unseen classes")
    print(f"\n{table}{notes_text(found.notes)}\n")
    for name in ("bake_off.md", "bake_off.png", "costs.json"):
        print(f"wrote {directory / name}")


def measure_costs(job, directory):
    """Parameters, relative time and peak memory of every pooling, with the first loss; from ``costs.json`` if known.

    Returns:
        dict from pooling to a dict of ``parameters``, ``time`` (relative to the first pooling's) and ``megabytes``.
    """
    path = directory / "costs.json"
    configs = {}
    for method, config in job.methods.items():
        configs.setdefault(method.split("@")[0], (method, config))
    costs = read_json(path) if path.exists() else {}
    if set(costs) == set(configs):
        return costs
    first = next(iter(configs.values()))[1]
    image_shape = build_dataset(first, "train").image_shape
    batch_size = first.training.classes_per_batch * first.training.samples_per_class
    times = step_times({name: config for name, (_, config) in configs.items()}, image_shape, batch_size)
    for name, (method, _) in configs.items():
        folder = run_directory(directory, method, job.seeds[0])
        costs[name] = {
            "parameters": read_json(folder / "result.json")["parameters"],
            "time": times[name],
            "megabytes": peak_memory(folder, image_shape, batch_size),
        }
    costs = {name: costs[name] for name in configs}
    write_json(path, costs)
    return costs


def _check_names(job):
    for method in job.methods:
        if method.count("@") != 1:
            raise UserError(
                "a bake-off's config has the axes pooling and loss, so that every method is named pooling@loss; got "
                f"the method {method}: name poolings under axes.pooling and losses under axes.loss, without @"
            )


def main(argv=None):
    """Entry point; returns the exit status."""
    return exit_status(bake_off, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
