import copy

import numpy as np
import pytest
from scipy import stats

from gsp_tf.errors import UserError
from gsp_tf.protocols.evaluated import EvaluatedJob
from gsp_tf.protocols.paired import compare
from gsp_tf.report.table import paired_table


def job_of(scores, method="GSP", test_hash="t", cards=None):
    """An evaluated job with one run a seed."""
    runs = [(f"seed_{seed}", {
        "seed": seed, "fold": None, "repeat": index, "test_hash": test_hash, "measured_on": "test",
        "test": dict.fromkeys(("MAP@R", "P@R", "P@1"), score),
    }) for index, (seed, score) in enumerate(scores.items())]
    return EvaluatedJob({method: runs}, cards or {}, [], [])


def test_differences_by_hand():
    own, theirs = {0: 0.5, 1: 0.7, 2: 0.4, 5: 0.1}, {2: 0.3, 0: 0.2, 1: 0.6, 7: 0.9}
    rows, notes = compare(job_of(own), job_of(theirs, method="GAP"))
    row = rows[0]
    differences = np.array([0.3, 0.1, 0.1])
    assert (row.name, row.kind, row.metric, row.pairs) == ("GSP − GAP", "runs", "MAP@R", 3)
    assert row.mean == pytest.approx(differences.mean()) and row.std == pytest.approx(differences.std(ddof=1))
    assert row.p_value == pytest.approx(stats.wilcoxon([own[seed] - theirs[seed] for seed in (0, 1, 2)]).pvalue)
    assert notes == ["differences in points of per cent; p: Wilcoxon's signed-rank test, two-sided"]
    table = paired_table(rows, "csv").splitlines()
    assert table[0] == "A − B,of,metric,pairs,difference,p" and table[1].startswith("GSP − GAP,runs,MAP@R,3,+16.67 ± ")


def test_collections_are_paired_by_their_repeats():
    def card(scores):
        return {"collections": [{"repeats": list(choice), "single": dict.fromkeys(("MAP@R", "P@R", "P@1"), score),
                                 "concatenated": dict.fromkeys(("MAP@R", "P@R", "P@1"), 2 * score)}
                                for choice, score in scores.items()]}

    first = card({(0, 0): 0.1, (0, 1): 0.2, (1, 0): 0.3})
    second = card({(1, 0): 0.2, (0, 0): 0.1, (2, 2): 0.4})
    rows, notes = compare(job_of({0: 0.5}, cards={"GSP": first}), job_of({0: 0.5}, cards={"GSP": second}))
    single, concatenated = rows[0], rows[3]
    assert (single.kind, single.pairs, concatenated.kind) == ("single", 2, "concatenated")
    assert single.mean == pytest.approx(0.05) and concatenated.mean == pytest.approx(0.1)
    assert "collections share models" in notes[1]


def test_nothing_to_compare_is_a_user_error():
    same = job_of({0: 0.5, 1: 0.5})
    rows, _ = compare(same, copy.deepcopy(same))
    assert rows[0].mean == 0 and rows[0].p_value is None
    rows, _ = compare(job_of({0: 0.5}), job_of({0: 0.4}))
    assert rows[0].std is None and rows[0].p_value is None
    with pytest.raises(UserError, match="no fold and repeat is finished in both"):
        compare(job_of({0: 0.5}), job_of({1: 0.5}))
    with pytest.raises(UserError, match="measured on different test data"):
        compare(job_of({0: 0.5}), job_of({0: 0.5}, test_hash="u"))
    two = EvaluatedJob({"a": [], "b": []}, {}, [], [])
    with pytest.raises(UserError, match="the first has the methods a, b, the second GSP, and none is in both"):
        compare(two, same)
