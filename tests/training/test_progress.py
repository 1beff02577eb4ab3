import pytest

from gsp_tf.training.progress import ProgressBar


def test_a_bar_goes_on_from_what_was_done_and_ends_its_line(capsys):
    bar = ProgressBar("GAP seed 0", steps=12, done=4)
    for step in range(8):
        bar.on_train_batch_end(step, {})
    bar.on_epoch_end(0, {"loss": 0.25, "val_MAP@R": 0.5, "pair_loss": 1.0})
    bar.close()
    shown = capsys.readouterr().err
    assert "GAP seed 0" in shown and "12/12" in shown and "val_MAP@R=0.500" in shown and "pair_loss" not in shown
    assert shown.endswith("\n")


@pytest.mark.parametrize("steps", [0, 3])
def test_without_a_title_nothing_is_shown(capsys, steps):
    bar = ProgressBar(None, steps=12)
    for step in range(steps):
        bar.on_train_batch_end(step, {})
    bar.close()
    assert capsys.readouterr().err == ""
