"""``python evaluate.py <run>``: measure what was trained again from its files; export it."""

import argparse
import sys
from pathlib import Path

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.errors import UserError
from gsp_tf.export import export_saved_model
from gsp_tf.protocols.comparison import METRICS, find_results, summarize
from gsp_tf.report.table import comparison_table
from gsp_tf.training.build import build_dataset
from gsp_tf.training.evaluation import measure
from gsp_tf.training.run import KS, load_embedder, load_run

# Embeddings are float32; another processor or thread count may swap two neighbours at nearly the same distance.
TOLERANCE = 2e-3


def parser():
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Measure finished runs again from the model files on disk, and export one for serving.",
        epilog="example: python evaluate.py runs/digits_mixture --method GSP --export served",
    )
    made.add_argument("run", type=Path, help="folder that train.py wrote: of a job, of a method or of one run")
    made.add_argument("--method", help="only this method of the job")
    made.add_argument("--format", choices=("text", "markdown"), default="text", help="of the table")
    made.add_argument("--export", type=Path, metavar="DIR",
                      help="write a SavedModel of the run with the best validation MAP@R")
    return made


def evaluate(arguments):
    """Do what the parsed arguments say."""
    found = find_results(arguments.run)
    if arguments.method is not None:
        if arguments.method not in found:
            raise UserError(f"--method must be one of {', '.join(found)}; got {arguments.method!r}")
        found = {arguments.method: found[arguments.method]}
    if arguments.export is not None and arguments.export.exists() and not _is_saved_model(arguments.export):
        raise UserError(f"--export {arguments.export} exists and is no SavedModel: give another directory")
    measured = {method: [_measure_again(folder, result) for folder, result in runs] for method, runs in found.items()}
    print(comparison_table(summarize(measured), markdown=arguments.format == "markdown"))
    if arguments.export is not None:
        folder, best = max((run for runs in found.values() for run in runs),
                           key=lambda run: run[1]["validation"]["MAP@R"])
        names = export_saved_model(load_embedder(folder), arguments.export)
        print(f"\nexported {best['method']} seed {best['seed']} (best validation MAP@R, "
              f"{100 * best['validation']['MAP@R']:.2f} %) to {arguments.export}: {', '.join(names)}")


def _measure_again(folder, result):
    config, _ = load_run(folder)
    test = measure(load_embedder(folder), build_dataset(config, "test"), KS)
    for metric in METRICS:
        if abs(test[metric] - result["test"][metric]) > TOLERANCE:
            raise UserError(
                f"{folder}: {metric} is {test[metric]:.4f} from model.keras and {result['test'][metric]:.4f} in "
                "result.json: one of the two files was changed; train the run again with --overwrite"
            )
    return {**result, "test": test}


def _is_saved_model(directory):
    return directory.is_dir() and ((directory / "saved_model.pb").exists() or not any(directory.iterdir()))


def main(argv=None):
    """Entry point; returns the exit status."""
    return exit_status(evaluate, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
