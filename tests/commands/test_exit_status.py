import pytest
import tensorflow as tf

from gsp_tf.commands.exit_status import exit_status
from gsp_tf.errors import UserError


def raising(error):
    def command(_):
        raise error

    return command


@pytest.mark.parametrize(
    "error, status, message",
    [
        (UserError("training.step is not a key"), 2, "error: training.step is not a key\n"),
        (FileExistsError(17, "File exists", "runs/x"), 2, "error: [Errno 17] File exists: 'runs/x': check the path"),
        (OSError(28, "No space left\non device"), 2, "error: [Errno 28] No space left on device: check the path and"),
        (tf.errors.PermissionDeniedError(None, None, "runs/x; denied"), 2, "error: runs/x; denied: check the path"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\n\nstack"), 2, "error: OOM when allocating: "
         "take smaller batches"),
        (KeyboardInterrupt(), 130, "stopped; the same command goes on from the last checkpoint\n"),
    ],
)
def test_what_the_user_can_mend_is_one_line(capsys, error, status, message):
    assert exit_status(raising(error), None) == status
    printed = capsys.readouterr()
    assert printed.err.startswith(message) and printed.err.count("\n") == 1 and printed.out == ""


def test_success_is_0_and_says_nothing(capsys):
    seen = []
    assert exit_status(seen.append, "arguments") == 0
    assert seen == ["arguments"] and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [ValueError("bug"), AssertionError(), tf.errors.InternalError(None, None, "bug")])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        exit_status(raising(error), None)
