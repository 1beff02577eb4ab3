import json
import shutil

import pytest
import yaml

import gsp_tf.report.page_method
from gsp_tf.errors import UserError
from gsp_tf.protocols.evaluated import EvaluatedJob, evaluate_job
from gsp_tf.protocols.published_results import PublishedRow
from gsp_tf.protocols.summary import METRICS, MethodSummary
from gsp_tf.report.page import write_page
from tests.report.page_reader import read_page, table_of

ALL_METHODS = ["Learning curves", "Retrieved images", "Map of the embedding", "Runs"]
GSP_ONLY = ["Pooling weights", "Prototype usage"]


@pytest.fixture(scope="module")
def page(trained_job, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "new" / "out.html"
    write_page(evaluate_job(trained_job), trained_job, path)
    assert [file.name for file in path.parent.iterdir()] == ["out.html"]
    return read_page(path)


def headings(element, tag):
    return [found.text for found in element.all(tag)]


def section(page, name):
    return next(found for found in page.all("section") if headings(found, "h2") == [name])


def written(tmp_path, trained_job, evaluated, **options):
    write_page(evaluated, trained_job, tmp_path / "page.html", **options)
    return read_page(tmp_path / "page.html")


def changed(evaluated, method="GAP", **changes):
    """The job with one method alone, and changes of its result."""
    (folder, result), = evaluated.runs[method]
    summaries = [summary for summary in evaluated.summaries if summary.method == method]
    return EvaluatedJob({method: [(folder, {**result, **changes})]}, {}, summaries, [])


def test_every_heading_is_there(page):
    assert headings(page, "h1") == ["tiny"] and headings(page, "h2") == ["Results", "GAP", "GSP+ZSR"]
    assert headings(section(page, "GAP"), "h3") == ALL_METHODS
    assert headings(section(page, "GSP+ZSR"), "h3") == [*ALL_METHODS[:2], *GSP_ONLY, *ALL_METHODS[2:]]
    nav, = page.all("nav")
    assert [link.text for link in nav.all("a")] == headings(page, "h2")
    assert "Protocol comparison on digits_mixture: 2 methods, 2 runs." in page.text


def test_the_table_is_the_command_s(page, trained_job):
    rows = table_of(next(section(page, "Results").all("table")))
    expected = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in (trained_job / "table.md").read_text().splitlines()]
    assert rows == [expected[0], *expected[2:]]


def test_what_made_the_runs(page, trained_job):
    for method in ("GAP", "GSP+ZSR"):
        result = json.loads((trained_job / method / "seed_0/result.json").read_text())
        found = section(page, method)
        rows = table_of(list(found.all("table"))[-1])
        cells = dict(zip(*rows, strict=True))
        assert cells["run"] == "seed 0" and cells["seed"] == "0" and cells["chosen step"] == str(result["best_step"])
        assert cells["validation MAP@R (%)"] == f"{100 * result['validation']['MAP@R']:.2f}"
        assert [cells[f"test {metric} (%)"] for metric in METRICS] == [f"{100 * result['test'][metric]:.2f}"
                                                                       for metric in METRICS]
        facts = dict(zip([name.text for name in found.all("dt")], [text.text for text in found.all("dd")], strict=True))
        assert facts["config SHA-256"] == result["config_hash"] and facts["test SHA-256"] == result["test_hash"]
        assert facts["commit"] == (result["versions"]["commit"] or "unknown") and facts["gpus"] != ""
        assert facts["tensorflow"] == result["versions"]["tensorflow"] and facts["split SHA-256"] == result["split_hash"]
        code, = found.all("code")
        assert yaml.safe_load("".join(code.texts)) == result["config"]


def test_pictures_are_of_test_images_and_of_the_chosen_steps(page, trained_job):
    for method in ("GAP", "GSP+ZSR"):
        result = json.loads((trained_job / method / "seed_0/result.json").read_text())
        found = section(page, method)
        assert f"Images are of the test part (48 images), seen by the run with the best validation MAP@R, " \
            f"{100 * result['validation']['MAP@R']:.2f} %: seed 0." in found.text
        labels = [element.attributes["aria-label"] for element in found.all("div", role="img")]
        chosen = next(row for row in result["evaluations"] if row["step"] == result["best_step"])
        assert f"at the chosen step it is {chosen['loss']:.3g}" in labels[0]
        assert labels[1].startswith("validation MAP@R (%) of one run")
        right = round(48 * result["test"]["P@1"])
        assert f"Of 48 queries, {right} have a first neighbour of their own class." in found.text


def test_a_sheet_has_signs_for_right_and_wrong(page):
    found = section(page, "GSP+ZSR")
    good, failed = found.all("ol", class_="queries")
    for sheet, first in ((good, "right"), (failed, "wrong")):
        queries = [item for item in sheet.children if item.tag == "li"]
        assert len(queries) == 4
        for query in queries:
            own = next(query.all("img")).attributes["alt"].removeprefix("Query of class ")
            neighbours = list(next(query.all("ol", class_="neighbours")).all("li"))
            assert len(neighbours) == 6 and neighbours[0].attributes["class"] == first
            for neighbour in neighbours:
                image, = neighbour.all("img")
                name, sign = next(neighbour.all("span")).text, next(neighbour.all("b")).text
                kind = "right" if name == own else "wrong"
                assert neighbour.attributes["class"] == kind and sign == {"right": "✓", "wrong": "✗"}[kind]
                assert image.attributes["alt"].endswith(f"class {name}: {kind}")


def test_class_names_break_nothing(monkeypatch, trained_job, tmp_path):
    names = [f"<b>{index}</b> &amp; $x_{index}$ \"'{{{{ 7 * 7 }}}}</section>" for index in range(12)]
    build = gsp_tf.report.page_method.build_dataset

    def renamed(config, part):
        dataset = build(config, part)
        dataset.class_names = tuple(names)
        return dataset

    monkeypatch.setattr(gsp_tf.report.page_method, "build_dataset", renamed)
    page = written(tmp_path, trained_job, evaluate_job(trained_job, "GSP+ZSR"))
    heat = next(page.all("table", class_="heat"))
    assert [row[0] for row in table_of(heat)[1:]] == names
    numbers = next(page.all("ol", class_="key numbers"))
    assert [item.text[2:] for item in numbers.all("li")] == names
    assert not any("49" in text.text for text in page.all("figcaption"))
    assert {image.attributes["alt"].removeprefix("Image of class ") for tiles in page.all("ul", class_="tiles")
            for image in tiles.all("img") if image.attributes["alt"].startswith("Image")} <= set(names)


def test_neighbours_of_a_gallery(monkeypatch, trained_job, tmp_path):
    build = gsp_tf.report.page_method.build_dataset

    def with_gallery(config, part):
        dataset = build(config, part)
        dataset.gallery = build(config, part)
        return dataset

    monkeypatch.setattr(gsp_tf.report.page_method, "build_dataset", with_gallery)
    page = written(tmp_path, trained_job, evaluate_job(trained_job, "GSP+ZSR"))
    # Every query is in the gallery, too.
    assert "(48 queries)" in page.text and "Of 48 queries, 48 have a first neighbour of their own class." in page.text
    assert "Neighbours come from the gallery." in page.text and "No first neighbour is wrong." in page.text
    assert "mean over 48 images" in page.text and "48 of 48 images" in page.text
    assert {small.text for small in page.all("small")} == {"4 to find"}


def test_notes_stand_out_and_the_test_set_s_choice_most(trained_job, tmp_path):
    evaluated = evaluate_job(trained_job)
    plain = written(tmp_path, trained_job, changed(evaluated)._replace(notes=["left out: <x>"]))
    box, = plain.all("div", role="note")
    assert box.text == "left out: <x>" and box.attributes["class"] == "notes"
    job = changed(evaluated, selected_on="test", protocol="conventional")
    chosen = written(tmp_path, trained_job, job._replace(notes=["THE TEST SET CHOSE THE CHECKPOINT"]))
    box, = chosen.all("div", role="note")
    assert box.attributes["class"] == "notes alarm" and "best test MAP@R" in chosen.text
    assert "test P@1 (%) of one run" in list(chosen.all("div", role="img"))[2].attributes["aria-label"]
    head = table_of(list(chosen.all("table"))[-1])[0]
    assert "test MAP@R (%)" in head and not any("validation" in cell for cell in head)


def test_without_notes_there_is_no_box(page):
    assert not list(page.all("div", role="note"))


def test_tuning_shows_validation_images(trained_job, tmp_path):
    evaluated = evaluate_job(trained_job)
    measured = evaluated.runs["GSP+ZSR"][0][1]["test"]
    page = written(tmp_path, trained_job, changed(evaluated, "GSP+ZSR", measured_on="validation", protocol="tuning",
                                                  validation=measured))
    assert "Images are of the validation part (32 images)" in page.text
    names = {image.attributes["alt"].removeprefix("Query of class ") for image in page.all("img")
             if image.attributes["alt"].startswith("Query")}
    _, result = evaluated.runs["GSP+ZSR"][0]
    from gsp_tf.training.build import build_dataset
    from gsp_tf.training.config import parse_run

    config = parse_run(result["config"], "here")
    assert names <= set(build_dataset(config, "validation").class_names)
    assert not names & set(build_dataset(config, "test").class_names)


def test_a_job_of_folds(trained_job, tmp_path):
    """Two folds with the ensemble's columns; the pictures are the better fold's, what differs is in the table."""
    evaluated = evaluate_job(trained_job, "GAP")
    (folder, result), = evaluated.runs["GAP"]
    worse = {**result["validation"], "MAP@R": result["validation"]["MAP@R"] - 0.01}
    runs = [(folder, {**result, "protocol": "fair", "fold": fold, "repeat": 0, "seed": 7 + fold, "validation": scores,
                      "split_hash": str(fold) * 64}) for fold, scores in ((0, worse), (1, result["validation"]))]
    mean = dict.fromkeys(METRICS, 0.5)
    summary = MethodSummary("GAP", 2, mean, mean, 3.0, "1 collections", (mean, dict.fromkeys(METRICS)), (8, 16))
    rows = {"GAP": [PublishedRow(method="GAP <their>", source="table 1",
                                 figures={(8, metric): (0.25, None) for metric in METRICS})]}
    job = EvaluatedJob({"GAP": runs}, {}, [summary], [])
    page = written(tmp_path, trained_job, job, published=rows)
    results = table_of(next(page.all("table")))
    assert "MAP@R 8-D" in results[0] and "MAP@R 16-D" in results[0]
    assert results[1][0] == "GAP" and "50.00 ± 50.00" in results[1]
    assert results[2][0] == "GAP <their> (published)" and "25.00" in results[2]
    assert "fold 1 repeat 0." in page.text and "fold 1 repeat 0 (pictures below)" in page.text
    shared = [name.text for name in page.all("dt")]
    runs = table_of(list(page.all("table"))[-1])
    assert "split SHA-256" in runs[0] and "split SHA-256" not in shared and "config SHA-256" in shared
    assert [row[runs[0].index("split SHA-256")] for row in runs[1:]] == ["0" * 12, "1" * 12]


def test_images_that_are_not_here_are_a_user_error(trained_job, tmp_path):
    shutil.copytree(trained_job / "GAP", tmp_path / "GAP")
    path = tmp_path / "GAP/seed_0/config.yaml"
    values = {**yaml.safe_load(path.read_text()), "data": {"name": "cub", "path": str(tmp_path / "nowhere")}}
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match="a page shows images, and those of GAP's test part are not to be had: .*nowhere"):
        write_page(evaluate_job(tmp_path), tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_model_that_is_not_here_is_a_user_error(trained_job, tmp_path):
    shutil.copytree(trained_job / "GAP", tmp_path / "GAP")
    (tmp_path / "GAP/seed_0/model.keras").unlink()
    with pytest.raises(UserError, match="model.keras cannot be loaded"):
        write_page(evaluate_job(tmp_path), tmp_path, tmp_path / "page.html")


def test_a_folder_is_no_page(trained_job, tmp_path):
    with pytest.raises(UserError, match="is a folder: give the name of an HTML file"):
        write_page(evaluate_job(trained_job), trained_job, tmp_path)


def test_a_result_of_an_earlier_version_is_a_user_error(trained_job, tmp_path):
    evaluated = evaluate_job(trained_job)
    runs = {method: [(folder, {key: value for key, value in result.items() if key != "evaluations"})
                     for folder, result in found] for method, found in evaluated.runs.items()}
    with pytest.raises(UserError, match="its result.json has no evaluations, .*train the run again with --overwrite"):
        write_page(evaluated._replace(runs=runs), trained_job, tmp_path / "page.html")
