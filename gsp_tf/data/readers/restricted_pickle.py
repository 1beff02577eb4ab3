"""Reading pickled arrays of strangers without running anything of theirs."""

import io
import math
import pickle
import pickletools
import re

import numpy as np

from gsp_tf.errors import UserError

# What lists, dicts, tuples, numbers, text, bytes and the calls that make an array are written with, up to protocol 3.
# The others of pickle's operations make objects of any class, or can be made to fill the memory by damaged data.
_OPERATIONS = frozenset(
    "PROTO STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT STRING BINSTRING "
    "SHORT_BINSTRING UNICODE BINUNICODE BINBYTES SHORT_BINBYTES EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE "
    "TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET GLOBAL "
    "REDUCE BUILD".split()
)
_NUMBERING = ("PUT", "BINPUT", "LONG_BINPUT")


class _DType:
    """Stands in for `numpy.dtype`; numbers and booleans are the only ones."""

    def __init__(self, code, *_):
        self.code = _text(code)
        self.order = "="

    def __setstate__(self, state):
        self.order = _text(state[1])

    def dtype(self) -> np.dtype:
        name = self.order + self.code
        if not re.fullmatch(r"[<>=|][biuf]\d", name):
            raise pickle.UnpicklingError(f"it holds an array of {name}")
        return np.dtype(name)


class _Array(np.ndarray):
    """Stands in for NumPy's function that makes an empty array, whose state then fills it.

    NumPy believes the state it is given; here it must be a shape, a plain dtype and as many bytes as they take.
    """

    def __new__(cls, *_):
        return np.empty(0, np.uint8).view(cls)

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        dtype = dtype.dtype()
        if not all(type(size) is int and size >= 0 for size in shape) or type(data) is not bytes:
            raise pickle.UnpicklingError("it holds an array whose shape or data are something else")
        if math.prod(shape) * dtype.itemsize != len(data):
            raise pickle.UnpicklingError(f"it holds an array of shape {shape} with {len(data)} bytes")
        super().__setstate__((1, tuple(shape), dtype, bool(fortran), data))


class _Bytes:
    """Stands in for the function that bytes of Python 3 were written for Python 2 with: text in Latin-1."""

    def __new__(cls, text, encoding):
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"it holds text in the encoding {encoding!r}")
        return text.encode("latin1")


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    # Only ever an argument of _reconstruct.
    ("numpy", "ndarray"): "numpy.ndarray",
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Bytes,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _STAND_INS[module, name]


def load_arrays(data: bytes, source):
    """Reads a pickle that holds nothing but arrays of numbers, text, bytes, numbers, lists, tuples and dicts.

    A pickle is a program: read with `pickle.load` it runs what its writer likes. Here it is looked through first, and
    whatever it asks for beyond arrays is refused before it is imported.

    Args:
        data: the pickle, of protocol 0 to 3. Strings of Python 2 come out as bytes.
        source: where it comes from, for the message.

    Returns:
        What was pickled, its arrays as `numpy.ndarray`.

    Raises:
        UserError: something else in it, or data that is no pickle.

    Example:
        >>> import pickle
        >>> load_arrays(pickle.dumps({b"labels": [3, 1]}, protocol=2), "batch")
        {b'labels': [3, 1]}
    """
    try:
        for operation, argument, _ in pickletools.genops(data):
            if operation.name not in _OPERATIONS:
                raise pickle.UnpicklingError(f"it uses the operation {operation.name}")
            # Python makes room for as many objects as the number says.
            if operation.name in _NUMBERING and argument > len(data):
                raise pickle.UnpicklingError(f"it numbers an object {argument}")
        return _Unpickler(io.BytesIO(data), encoding="bytes").load()
    # What damaged data makes of pickle and of the stand-ins.
    except (pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError, MemoryError,
            RecursionError, TypeError, ValueError) as error:
        raise UserError(
            f"{source} is not a file of arrays and labels ({error}), and it is not read any further: download it again "
            "from the original page"
        ) from None


def _text(value) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value
