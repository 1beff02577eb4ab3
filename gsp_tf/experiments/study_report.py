"""The table and the picture of a study, from its runs' folders alone."""

from gsp_tf.experiments.designs import resolution
from gsp_tf.experiments.study_checks import shown
from gsp_tf.experiments.trials import trial_scores
from gsp_tf.protocols import PROTOCOLS
from gsp_tf.protocols.published_results import published_of
from gsp_tf.report.study import PUBLISHED, plot_effects, plot_heat_maps, plot_lines
from gsp_tf.report.study_search import Range, plot_search
from gsp_tf.report.study_table import effects_table, main_effects, trials_table
from gsp_tf.report.table import notes_text
from gsp_tf.training.checkpoint import write_text


def write_study_report(study, job, directory, paper=False):
    """Write ``study.md`` and ``study.png`` of what is finished.

    Args:
        study, job: of :func:`gsp_tf.experiments.study_config.load_study`.
        directory: that the study was trained in.
        paper: whether to show the papers' own figures, too.

    Returns:
        ``(text, paths)``: the tables as text, and the files that were written.
    """
    protocol = PROTOCOLS[job.protocol.name](job.protocol.folds)
    scores, notes = trial_scores(study, job, directory, len(job.seeds) * len(protocol.folds))
    published = _published(directory) if paper else None
    known = [score._replace(label=score.label + PUBLISHED, scores=(published[score.name][0],))
             for score in scores if paper and score.name in published and score.values]
    tables = [lambda style: trials_table(scores, list(study.parameters), style, published, shown)]
    if study.design == "fractional_factorial":
        levels = {name: tuple(parameter.values) for name, parameter in study.parameters.items()}
        effects = main_effects(scores + known, levels)
        tables.append(lambda style: effects_table(effects, style))
        notes.append(_mixed(resolution({name: text.removeprefix("-").split("*")
                                        for name, text in study.generators.items()})))
    write_text(directory / "study.md", "\n\n".join(table("markdown") for table in tables) + "\n"
               + "".join(f"\n{note}\n" for note in notes))
    _draw(study, scores + known, directory / "study.png", study.name)
    text = "\n\n".join(table("text") for table in tables) + notes_text(notes)
    return text, [directory / name for name in ("study.md", "study.png")]


def _draw(study, scores, path, title):
    names = list(study.parameters)
    if study.design == "bayesian":
        ranges = {name: Range(found.low, found.high, found.log) for name, found in study.parameters.items()}
        plot_search(scores, ranges, path, title)
    elif study.design == "fractional_factorial" or len(names) > 2:
        plot_effects(scores, names, path, title, shown)
    elif len(names) == 1:
        plot_lines(scores, names[0], path, title, shown=shown)
    elif study.picture == "lines":
        plot_lines(scores, names[0], path, title, by=names[1], shown=shown)
    else:
        plot_heat_maps(scores, *names, path, title, shown)


def _published(directory):
    """Dict from a trial's name to the published (mean, std) of its MAP@R, at the largest embedding that has one."""
    found = {}
    for name, rows in published_of(directory).items():
        figures = {key: value for row in rows for key, value in row.figures.items() if key[1] == "MAP@R"}
        if figures:
            found[name] = figures[max(figures)]
    return found


def _mixed(found):
    """What a design's resolution means."""
    if found == float("inf"):
        return "full factorial design: no effect is mixed with another"
    numeral = {3: "III", 4: "IV"}.get(found, "V or more")
    mixed = "two-factor interactions" if found == 3 else "interactions of three or more factors only"
    return f"resolution {numeral}: main effects are mixed with {mixed}"
