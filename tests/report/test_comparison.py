import json
import shutil

import pytest

from gsp_tf.errors import UserError
from gsp_tf.report.comparison import write_report

FILES = ["table.md", "results.json", "map_at_r.png", "weight_maps.png"]


def test_a_job_s_report(trained_job, tmp_path):
    shutil.copytree(trained_job, tmp_path / "run")
    for name in FILES:
        (tmp_path / "run" / name).unlink()
    table, paths = write_report(tmp_path / "run")
    assert paths == [tmp_path / "run" / name for name in FILES] and all(path.exists() for path in paths)
    result = json.loads((trained_job / "GAP/seed_0/result.json").read_text())
    card = json.loads((tmp_path / "run/results.json").read_text())
    first, _ = (card["methods"][method] for method in ("GAP", "GSP+ZSR"))
    assert first["config"] == result["config"] and first["runs"][0]["versions"] == result["versions"]
    assert card["job"]["name"] == "tiny" and card["notes"] == []
    assert first["mean"]["MAP@R"] == result["test"]["MAP@R"] and first["std"]["MAP@R"] is None
    figure = f"{100 * result['test']['MAP@R']:.2f}"
    assert figure in table.splitlines()[1] and figure in (tmp_path / "run/table.md").read_text().splitlines()[2]


def test_without_weights_there_are_no_maps(trained_job, tmp_path):
    shutil.copytree(trained_job / "GAP", tmp_path / "GAP")
    _, paths = write_report(tmp_path)
    assert [path.name for path in paths] == FILES[:3] and not (tmp_path / "weight_maps.png").exists()


def test_a_model_that_cannot_be_loaded_is_a_user_error(trained_job, tmp_path):
    shutil.copytree(trained_job / "GAP", tmp_path / "GAP")
    (tmp_path / "GAP/seed_0/model.keras").write_bytes(b"PK")
    with pytest.raises(UserError, match="model.keras cannot be loaded: .*; train the run again with --overwrite"):
        write_report(tmp_path)
