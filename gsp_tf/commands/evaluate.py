"""``python evaluate.py <run>``: measure what was trained again from its files; compare, export and report it."""

import argparse
import sys
from pathlib import Path

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.errors import UserError
from gsp_tf.export import export_saved_model
from gsp_tf.protocols.evaluated import evaluate_job, write_card
from gsp_tf.protocols.paired import compare
from gsp_tf.protocols.published_results import published_of
from gsp_tf.report.page import write_page
from gsp_tf.report.table import FORMATS, comparison_table, notes_text, paired_table
from gsp_tf.training.run import load_embedder


def parser():
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="evaluate.py",
        description="Measure finished runs again from the model files on disk, as their protocol says; compare two "
                    "jobs, stand beside the papers' figures, or export a model for serving.",
        epilog="example: python evaluate.py runs/digits_mixture --method GSP --export served",
    )
    made.add_argument("run", nargs="?", type=Path,
                      help="folder that train.py wrote: of a job, of a method or of one run")
    made.add_argument("--method", help="only this method of the job")
    made.add_argument("--format", choices=FORMATS, default="text", help="of the table (default: %(default)s)")
    made.add_argument("--paper", action="store_true", help="print the papers' rows, as the config names them, too")
    made.add_argument("--compare", nargs=2, type=Path, metavar=("A", "B"),
                      help="in place of RUN: two folders, A's results less B's, with a paired test")
    made.add_argument("--report", type=Path, metavar="FILE",
                      help="write one HTML page with the table, curves and pictures")
    made.add_argument("--export", type=Path, metavar="DIR",
                      help="write a SavedModel of the run with the best validation score")
    return made


def evaluate(arguments):
    """Do what the parsed arguments say."""
    if (arguments.run is None) == (arguments.compare is None):
        raise UserError("give either RUN or --compare A B, such as: python evaluate.py runs/digits_mixture")
    if arguments.compare is not None:
        _compare(arguments)
        return
    if arguments.export is not None and arguments.export.exists() and not _is_saved_model(arguments.export):
        raise UserError(f"--export {arguments.export} exists and is no SavedModel: give another directory")
    published = published_of(arguments.run) if arguments.paper else None
    found = evaluate_job(arguments.run, arguments.method, again=True, show_progress=sys.stderr.isatty())
    print(comparison_table(found.summaries, arguments.format, published) + notes_text(found.notes, arguments.format))
    if (arguments.run / "job.yaml").exists() and arguments.method is None:
        try:
            write_card(arguments.run, found)
        except OSError as error:
            # Somebody else's runs may be read, too.
            print(f"results.json was not written: {error}", file=sys.stderr)
    if arguments.report is not None:
        write_page(found, arguments.run, arguments.report, sys.stderr.isatty(), published)
        print(f"\nwrote {arguments.report}")
    if arguments.export is not None:
        folder, best = max((run for runs in found.runs.values() for run in runs), key=_chosen_score)
        names = export_saved_model(load_embedder(folder), arguments.export)
        score = f"{_monitor(best)}, {100 * _chosen_score((folder, best)):.2f} %"
        chosen = f"best {best.get('selected_on', 'validation')} {score}"
        print(f"\nexported {best['method']} seed {best['seed']} ({chosen}) to {arguments.export}: {', '.join(names)}")


def _compare(arguments):
    if arguments.export is not None or arguments.report is not None or arguments.paper:
        raise UserError("--compare prints differences alone: leave --export, --report and --paper out")
    jobs = [evaluate_job(folder, arguments.method, again=True, show_progress=sys.stderr.isatty())
            for folder in arguments.compare]
    rows, notes = compare(*jobs)
    notes = [*dict.fromkeys([*jobs[0].notes, *jobs[1].notes, *notes])]
    print(paired_table(rows, arguments.format) + notes_text(notes, arguments.format))


def _chosen_score(run):
    return run[1]["validation"][_monitor(run[1])]


def _monitor(result):
    return result["config"]["training"].get("monitor", "MAP@R")


def _is_saved_model(directory):
    return directory.is_dir() and ((directory / "saved_model.pb").exists() or not any(directory.iterdir()))


def main(argv=None):
    """Entry point; returns the exit status."""
    return exit_status(evaluate, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
