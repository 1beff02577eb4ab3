import os
import pickle
import random

import numpy as np
import pytest

from gsp_tf.data.readers.restricted_pickle import load_arrays
from gsp_tf.errors import UserError

# As Python 2's cPickle and its NumPy wrote it: {"labels": [3, 1], "data": uint8 2 x 3}.
PYTHON_2 = (
    b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x03K\x01eU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\n"
    b"ndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09(K\x03U"
    b"\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x01\x02\x03\x04\x05tbu."
)


class Calling:
    """Pickled as a call of whatever it is given."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_reads_what_python_2_wrote():
    found = load_arrays(PYTHON_2, "batch")
    assert found[b"labels"] == [3, 1]
    assert found[b"data"].dtype == np.uint8 and found[b"data"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
@pytest.mark.parametrize("array", [
    np.arange(6, dtype=np.uint8).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([1, 256], ">i4"), np.array([True, False]), np.ones((1, 4), np.float32),
], ids=lambda array: str(array.dtype))
def test_reads_arrays_of_this_numpy(array, protocol):
    found = load_arrays(pickle.dumps({b"data": array, b"more": [1, ("two", 2.5, None)]}, protocol), "batch")
    np.testing.assert_array_equal(found[b"data"], array)
    assert found[b"data"].dtype == array.dtype.newbyteorder("=") and found[b"more"] == [1, ("two", 2.5, None)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [lambda payload: payload, lambda payload: {b"labels": [payload]},
                                  lambda payload: {b"data": np.array([payload], dtype=object)}])
def test_refuses_a_call_and_does_not_run_it(tmp_path, wrap, protocol):
    payload = wrap(Calling(os.mkdir, str(tmp_path / "here")))
    with pytest.raises(UserError, match="batch is not a file of arrays and labels"):
        load_arrays(pickle.dumps(payload, protocol), "batch")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [
    b"cos\nsystem\n(S'touch %s'\ntR.",
    b"(S'touch %s'\nios\nsystem\n.",
    b"cbuiltins\neval\n(S'open(\"%s\", \"w\")'\ntR.",
    b"c__builtin__\nexecfile\n(S'%s'\ntR.",
    b"cnumpy\nload\n(S'%s'\ntR.",
    b"cnumpy.testing._private.utils\nrunstring\n(S'open(\"%s\", \"w\")'\n}tR.",
    b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x05touch\x85R.",
])
def test_refuses_pickles_written_by_hand(tmp_path, data):
    if b"%s" in data:
        data = data % str(tmp_path / "made").encode()
    with pytest.raises(UserError, match="(asks for|operation (INST|STACK_GLOBAL|SHORT_BINUNICODE))"):
        load_arrays(data, "batch")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("array, message", [
    (np.array([object()]), "operation|asks for|holds an array"),
    (np.array([None]), r"array of \|O8"),
    (np.array(["text"]), r"array of <U4"),
    (np.zeros(2, [("a", "u1")]), r"array of \|V1"),
    (np.zeros(2, "M8[s]"), "array of <M8"),
])
def test_refuses_arrays_of_anything_but_numbers(array, message):
    with pytest.raises(UserError, match=message):
        load_arrays(pickle.dumps(array, 2), "batch")


def test_refuses_a_shape_that_the_bytes_do_not_fill():
    for shape in (b"K\x02K\x04", b"K\x02J\xff\xff\xff\x7f", b"K\x02J\xfd\xff\xff\xff"):
        with pytest.raises(UserError, match="array"):
            load_arrays(PYTHON_2.replace(b"K\x02K\x03", shape), "batch")


@pytest.mark.parametrize("data, message", [
    (b"", "."), (b"no pickle", "."), (PYTHON_2[:-20], "."), (b"\x80\x02]r\xff\xff\xff\xff.", "numbers an object"),
    (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.", "batch is not a file"), (b"\x80\x02cnumpy\ndtype\nK\x01\x85b.", "."),
])
def test_refuses_damaged_data(data, message):
    with pytest.raises(UserError, match=message):
        load_arrays(data, "batch")


def test_damage_anywhere_gives_values_or_the_one_error():
    chance = random.Random(0)
    refused = 0
    for _ in range(2000):
        data = bytearray(PYTHON_2)
        data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            load_arrays(bytes(data), "batch")
        except UserError:
            refused += 1
    assert refused > 500
