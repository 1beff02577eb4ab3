import copy

from gsp_tf.protocols.results import trusted
from gsp_tf.protocols.summary import summarize

RESULT = {
    "method": "GSP", "protocol": "fair", "fold": 0, "repeat": 0, "split_hash": "s0", "test_hash": "t", "seconds": 1.0,
    "versions": {"gsp_tf": "0.1", "commit": "abc"}, "test": {"MAP@R": 0.5, "P@R": 0.5, "P@1": 0.5},
}


def found(*changes, method="GSP"):
    runs = []
    for index, change in enumerate(changes):
        result = {**copy.deepcopy(RESULT), "method": method, "repeat": index, **change}
        runs.append((f"{method}/run_{index}", result))
    return {method: runs}


def folders(kept, method="GSP"):
    return [folder for folder, _ in kept[method]]


def test_runs_that_agree_are_all_kept_without_a_note():
    runs = found({}, {"fold": 1, "split_hash": "s1"}, {"fold": 1, "split_hash": "s1"})
    assert trusted(runs) == (runs, [])


def test_other_code_is_left_out_by_name():
    kept, notes = trusted(found({}, {"versions": {"gsp_tf": "0.1", "commit": "def"}}, {}))
    assert folders(kept) == ["GSP/run_0", "GSP/run_2"]
    assert notes == ["left out: GSP/run_1: its code is 0.1 def, not the 0.1 abc of the other runs"]


def test_other_data_are_left_out_by_name():
    kept, notes = trusted(found({}, {}, {"test_hash": "u"}))
    assert folders(kept) == ["GSP/run_0", "GSP/run_1"] and "run_2: its test data (u) are not the ones (t)" in notes[0]
    kept, notes = trusted(found({}, {"split_hash": "other"}, {}, {"fold": 1, "split_hash": "s1"}))
    assert folders(kept) == ["GSP/run_0", "GSP/run_2", "GSP/run_3"]
    assert notes == ["left out: GSP/run_1: its split is not that of the other runs of fold 0"]


def test_methods_that_differ_from_each_other_are_kept_with_a_warning():
    kept, notes = trusted({**found({}), **found({"versions": {"gsp_tf": "0.2", "commit": "abc"}}, method="GAP")})
    assert folders(kept) and folders(kept, "GAP")
    assert notes == ["careful: the code (version, commit) is not the same for all methods"]
    _, notes = trusted({**found({}), **found({"test_hash": "u"}, method="GAP")})
    assert notes == ["careful: the test data is not the same for all methods"]


def test_what_chose_the_checkpoint_is_said():
    _, notes = trusted(found({"selected_on": "test"}))
    assert notes[0].startswith("THE TEST SET CHOSE THE CHECKPOINT")
    _, notes = trusted(found({"measured_on": "validation"}))
    assert notes[0].startswith("measured on validation classes")


def test_conventional_reports_the_best_repeat_by_its_own_metric():
    runs = [{**RESULT, "protocol": "conventional", "test": {"MAP@R": 1 - score, "P@R": 0.1, "P@1": score}}
            for score in (0.2, 0.9, 0.4)]
    summary, = summarize({"GSP": runs})
    assert summary.mean["P@1"] == 0.9 and summary.mean["MAP@R"] == 1 - 0.9 and summary.counted == "best of 3"
    assert summary.std == dict.fromkeys(summary.std)


def test_tuning_reports_the_validation_part():
    runs = [{**RESULT, "protocol": "tuning", "measured_on": "validation", "test": None,
             "validation": {"MAP@R": score, "P@R": 0.1, "P@1": 0.3}} for score in (0.2, 0.4)]
    summary, = summarize({"GSP": runs})
    assert summary.part == "validation" and abs(summary.mean["MAP@R"] - 0.3) < 1e-15
