"""How a command ends: 0, or 2 with one line on standard error."""

import sys

import tensorflow as tf

from gsp_tf.errors import UserError


def exit_status(command, arguments):
    """Run ``command(arguments)``; turn what the user can mend into one line and status 2, Ctrl-C into status 130."""
    try:
        command(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (OSError, tf.errors.PermissionDeniedError) as error:
        reason = " ".join(str(error).split())
        print(f"error: {reason}: check the path and the space on its disk, or give another", file=sys.stderr)
        return 2
    except tf.errors.ResourceExhaustedError as error:
        reason = str(error).splitlines()[0]
        print(f"error: {reason}: take smaller batches (training.classes_per_batch), or free the device's memory or "
              "the disk", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0
