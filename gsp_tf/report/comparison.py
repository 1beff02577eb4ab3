"""Files that sum a comparison up: table, results and pictures."""

from pathlib import Path

from gsp_tf.protocols.evaluated import evaluate_job, write_card
from gsp_tf.report.plots import choose_examples, plot_scores, plot_weight_maps
from gsp_tf.report.table import comparison_table, notes_text
from gsp_tf.training.build import build_dataset
from gsp_tf.training.checkpoint import write_text
from gsp_tf.training.embedding import embed
from gsp_tf.training.run import load_embedder, load_run

EXAMPLES = 6


def write_report(directory, show_progress=False):
    """Write ``table.md``, ``results.json``, ``map_at_r.png`` and ``weight_maps.png`` of a job's finished runs.

    Args:
        directory: of the job.
        show_progress: whether to show it, where models are measured.

    Returns:
        ``(table, paths)``: the table as text, and the files that were written.
    """
    directory = Path(directory)
    evaluated = evaluate_job(directory, show_progress=show_progress)
    found, summaries = evaluated.runs, evaluated.summaries
    write_text(directory / "table.md", comparison_table(summaries, "markdown") + "\n"
               + "".join(f"\n{note}\n" for note in evaluated.notes))
    write_card(directory, evaluated)
    config, _ = load_run(next(iter(found.values()))[0][0])
    title = config.data.name.replace("_", " ").title()
    plot_scores(summaries, directory / "map_at_r.png", f"{title}: unseen classes")
    paths = [directory / name for name in ("table.md", "results.json", "map_at_r.png")]
    if draw_weight_maps(found, directory / "weight_maps.png", title):
        paths.append(directory / "weight_maps.png")
    return comparison_table(summaries) + notes_text(evaluated.notes), paths


def draw_weight_maps(found, path, title):
    """Draw the weight maps of every method that has any, over the same test images; whether there was one."""
    maps, images, names = {}, None, None
    for method, runs in found.items():
        folder = runs[0][0]
        embedder = load_embedder(folder)
        if "weights" not in embedder.output:
            continue
        if images is None:
            test = build_dataset(load_run(folder)[0], "test")
            chosen = choose_examples(test.labels, EXAMPLES)
            images, names = test.evaluation_images(chosen), [test.class_names[test.labels[index]] for index in chosen]
        maps[method] = embed(embedder, images)["weights"]
    if maps:
        plot_weight_maps(images, names, maps, path, f"{title}: what each pooling keeps of unseen classes")
    return bool(maps)
