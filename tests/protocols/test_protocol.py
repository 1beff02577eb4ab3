import pytest

from gsp_tf.data import DigitsMixture
from gsp_tf.errors import UserError
from gsp_tf.protocols import PROTOCOLS, conventional, fair, planned_runs, tuning
from gsp_tf.training.build import build_dataset, parts_hash
from gsp_tf.training.job_config import load_job
from tests.protocols.fair_job import fair_values
from tests.tiny_job import write_yaml


def job_of(folder, **changes):
    return load_job(write_yaml(folder / "job.yaml", fair_values(**changes)))


def test_fair_has_four_folds_by_three_repeats(tmp_path):
    runs = planned_runs(fair(), job_of(tmp_path), tmp_path)
    assert [(run.fold, run.repeat) for run in runs] == [(fold, repeat) for repeat in range(3) for fold in range(4)]
    assert len({run.directory for run in runs}) == len({run.seed for run in runs}) == 12
    assert runs[6].directory == tmp_path / "GSP" / "fold_2_repeat_1" and runs[6].title == "GSP fold 2 repeat 1"
    held_out = [set(build_dataset(run.config, "validation").class_names) for run in runs[:4]]
    for run, names in zip(runs, held_out, strict=False):
        assert not names & set(build_dataset(run.config, "train").class_names)
    assert set().union(*held_out) == {*DigitsMixture("train").class_names, *DigitsMixture("validation").class_names}
    assert sum(map(len, held_out)) == len(set().union(*held_out))
    assert len({parts_hash(run.config, ["test"]) for run in runs}) == 1
    assert len({parts_hash(run.config, ["train", "validation"]) for run in runs[:4]}) == 4


def test_no_pair_of_digits_is_in_two_parts(tmp_path):
    """2:5 and 5:2 hold the same digits, so a fold that parts them would validate on what it trained on."""
    for run in planned_runs(fair(), job_of(tmp_path), tmp_path)[:4]:
        pairs = [{frozenset(pair) for pair in build_dataset(run.config, part).classes} for part in ("train", "validation")]
        assert not pairs[0] & pairs[1]


def test_conventional_validates_on_the_test_part(tmp_path):
    run, = planned_runs(conventional(), job_of(tmp_path, protocol={"name": "conventional"}, seeds=[7]), tmp_path)
    assert (run.fold, run.seed, run.directory.name) == (None, 7, "seed_7")
    validation, test = build_dataset(run.config, "validation"), build_dataset(run.config, "test")
    assert validation.class_names == test.class_names
    assert (validation.images_and_labels()[0] == test.images_and_labels()[0]).all()
    assert build_dataset(run.config, "train").num_classes == 30


def test_tuning_holds_one_partition_out(tmp_path):
    runs = planned_runs(tuning(3), job_of(tmp_path, protocol={"name": "tuning", "folds": 3}), tmp_path)
    assert [(run.fold, run.repeat) for run in runs] == [(0, 0), (0, 1), (0, 2)]
    assert build_dataset(runs[0].config, "validation").num_classes == 10
    assert tuning().partitions == 5


def test_what_a_protocol_does_not_take(tmp_path):
    for name in ("comparison", "conventional"):
        with pytest.raises(UserError, match="protocol.folds is for fair and tuning"):
            PROTOCOLS[name](4)
    job = job_of(tmp_path, data={"name": "folder", "path": "x", "validation": 0.2})
    with pytest.raises(UserError, match="data.validation fixes the classes that validate, and protocol.name: fair"):
        planned_runs(fair(), job, tmp_path)
    with pytest.raises(UserError, match="protocol.folds: Input should be greater than or equal to 2; got 1"):
        job_of(tmp_path, protocol={"name": "fair", "folds": 1})
    with pytest.raises(UserError, match="protocol.name: Input should be 'comparison', 'fair', 'conventional' or"):
        job_of(tmp_path, protocol={"name": "unfair"})
