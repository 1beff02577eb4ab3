import csv
from pathlib import Path

import pytest
import yaml

from gsp_tf.errors import UserError
from gsp_tf.protocols.published_results import published_of, published_rows
from gsp_tf.protocols.summary import MethodSummary
from gsp_tf.report.table import comparison_table
from gsp_tf.training.job_config import load_job

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "paper_results"
JOBS = sorted(path for path in ROOT.glob("configs/*/*.yaml")
              if path.parent.name in ("cub", "cars196", "sop", "inshop"))


@pytest.mark.skipif(not SHARED.exists(), reason="the papers' tables are not beside the project")
@pytest.mark.parametrize(("table", "file"), [("5.1", "gsp_fair_table_5_1.csv"), ("3.1", "ccp_fair_table_3_1.csv")])
def test_the_package_s_copy_is_the_papers_table(table, file):
    for row in csv.DictReader((SHARED / file).read_text().splitlines()):
        found, = published_rows([table], row["dataset"], row["method"])
        mean, std = found.figures[int(row["dimension"]), row["metric"]]
        assert mean == pytest.approx(float(row.get("mean_percent", row.get("percent"))) / 100)
        assert std == (pytest.approx(float(row["std_percent"]) / 100) if "std_percent" in row else None)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_row_that_a_config_names_is_there(path, tmp_path):
    job = load_job(path)
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job.model_dump(mode="json")))
    if path.stem == "tuning":
        assert job.published is None
        return
    rows = published_of(tmp_path)
    assert rows and all(rows.values()) and set(rows) <= set(job.methods)


def test_published_rows_stand_below_the_method_s_own_in_the_columns_of_their_size():
    figures = ({"MAP@R": 0.2, "P@R": 0.3, "P@1": 0.5}, {"MAP@R": 0.01, "P@R": 0.01, "P@1": 0.01})
    summary = MethodSummary("C2@GSP", 12, *figures, 9.0, "81 collections", figures, (128, 512))
    rows = {"C2@GSP": published_rows(["5.1"], "CUB", "C2+GSP")}
    table = comparison_table([summary], "csv", rows).splitlines()
    assert table[0] == "method,over,MAP@R 128-D,P@R 128-D,P@1 128-D,MAP@R 512-D,P@R 512-D,P@1 512-D,s a run"
    own, published = csv.reader(table[1:])
    assert own[2] == "20.00 ± 1.00" and published[:2] == ["C2+GSP", "thesis, table 5.1"]
    wanted = {key: f"{100 * mean:.2f} ± {100 * std:.2f}" for key, (mean, std) in rows["C2@GSP"][0].figures.items()}
    assert published[2:] == [wanted[128, "MAP@R"], "–", wanted[128, "P@1"], wanted[512, "MAP@R"], "–",
                             wanted[512, "P@1"], "–"]


def test_what_is_not_published_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"tables 5.1 have no figure of 'C3' on 'CUB'; data sets: CUB, .*nearest method: C"):
        published_rows(["5.1"], "CUB", "C3")
    with pytest.raises(UserError, match=r"published.tables must be of 3.1, 3.2, 5.1, .*; got '6.1'"):
        published_rows(["6.1"], "CUB", "C2")
    with pytest.raises(UserError, match="job.yaml names no published rows"):
        published_of(tmp_path)
