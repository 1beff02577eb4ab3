import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gsp_tf.data import decoding
from gsp_tf.data.decoding import decode, decode_window, why_undecodable
from tests.data.image_files import exif, file_bytes, opened, smooth_pixels

PIXELS = smooth_pixels(41, 60)
WINDOW = (5, 7, 21, 30)


@tf.function(input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((4,), tf.int32)])
def decode_in_a_graph(contents, window):
    return decode_window(contents, lambda *_: window)


def windowed(contents, window=WINDOW):
    """The window, decoded in a graph, where it is used, and that of the whole image."""
    top, left, height, width = window
    return decode_in_a_graph(contents, window).numpy(), decode(contents).numpy()[top : top + height, left : left + width]


def palette_with_alpha():
    return Image.fromarray(PIXELS).quantize(16)


# Kind of file, and the largest error of TensorFlow's arithmetic against Pillow's: none but where colours are converted.
KINDS = {
    "JPEG": (file_bytes(PIXELS), 0),
    "progressive JPEG": (file_bytes(PIXELS, progressive=True), 0),
    "JPEG 4:4:4": (file_bytes(PIXELS, subsampling=0), 0),
    "greyscale JPEG": (file_bytes(PIXELS[..., 0]), 1),
    "CMYK JPEG": (file_bytes(Image.fromarray(PIXELS).convert("CMYK")), 3),
    "JPEG with bytes behind": (file_bytes(PIXELS) + b"trailer", 0),
    "PNG": (file_bytes(PIXELS, "PNG"), 0),
    "greyscale PNG": (file_bytes(PIXELS[..., 0], "PNG"), 0),
    "black and white PNG": (file_bytes(Image.fromarray(PIXELS).convert("1"), "PNG"), 0),
    "PNG with alpha": (file_bytes(np.dstack([PIXELS, PIXELS[..., :1]]), "PNG"), 0),
    "greyscale PNG with alpha": (file_bytes(Image.fromarray(PIXELS).convert("LA"), "PNG"), 0),
    "palette PNG": (file_bytes(palette_with_alpha(), "PNG"), 0),
    "palette PNG with alpha": (file_bytes(palette_with_alpha(), "PNG", transparency=bytes(range(0, 256, 16))), 0),
    "palette PNG with a transparent colour": (file_bytes(palette_with_alpha(), "PNG", transparency=3), 0),
    "GIF": (file_bytes(palette_with_alpha(), "GIF"), 0),
    "BMP": (file_bytes(PIXELS, "BMP"), 0),
    "palette BMP": (file_bytes(palette_with_alpha(), "BMP"), 0),
    "WebP": (file_bytes(PIXELS, "WEBP"), 0),
    "TIFF": (file_bytes(PIXELS, "TIFF"), 0),
    "CMYK TIFF": (file_bytes(Image.fromarray(PIXELS).convert("CMYK"), "TIFF"), 0),
}
each_kind_of_file = pytest.mark.parametrize(("contents", "error"), KINDS.values(), ids=KINDS.keys())


@each_kind_of_file
def test_every_kind_is_what_pillow_sees(contents, error):
    image = decode(contents).numpy()
    assert image.dtype == np.uint8
    assert image.shape == PIXELS.shape
    assert np.abs(image - opened(contents)).max() <= error


@each_kind_of_file
def test_window_is_that_of_the_whole_image(contents, error):
    np.testing.assert_array_equal(*windowed(contents))


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "JPEG 4:4:4", "CMYK JPEG"])
def test_windows_of_a_jpeg_are_exact_to_their_edges(kind):
    contents = KINDS[kind][0]
    whole = decode(contents).numpy()
    rng = np.random.default_rng(0)
    edges = [(0, 0, 41, 60), (0, 0, 1, 1), (40, 59, 1, 1), (0, 16, 41, 16), (15, 15, 2, 2), (7, 0, 8, 1)]
    for _ in range(100):
        (top, bottom), (left, right) = (np.sort(rng.choice(side + 1, 2, replace=False)) for side in (41, 60))
        edges.append((top, left, bottom - top, right - left))
    for top, left, height, width in edges:
        window = decode_in_a_graph(contents, (top, left, height, width)).numpy()
        np.testing.assert_array_equal(window, whole[top : top + height, left : left + width])


def test_pixels_are_those_that_were_saved():
    for name in ("JPEG", "CMYK JPEG", "PNG", "WebP"):
        assert np.abs(decode(KINDS[name][0]).numpy() - PIXELS.astype(int)).mean() < 2, name


def test_only_what_tensorflow_cannot_do_goes_to_pillow(monkeypatch):
    def refuse(contents):
        raise AssertionError("Pillow was asked")

    def decoded(files):
        dataset = tf.data.Dataset.from_tensor_slices(files).map(decode)
        return list(dataset.as_numpy_iterator())

    monkeypatch.setattr(decoding, "decode_with_pillow", refuse)
    ours = [contents for name, (contents, _) in KINDS.items() if "JPEG" in name or "PNG" in name]
    ours.append(file_bytes(PIXELS, exif=exif(1)))
    assert len(decoded(ours)) == 15
    for contents in (KINDS["GIF"][0], file_bytes(PIXELS, exif=exif(3))):
        with pytest.raises(tf.errors.OpError):
            decoded([contents])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_upper_half(kind):
    grey = (np.arange(41 * 60).reshape(41, 60) * 26).astype(np.uint16)
    image = decode(file_bytes(Image.fromarray(grey), kind)).numpy()
    np.testing.assert_array_equal(image, np.repeat((grey >> 8)[..., None], 3, axis=2))
    assert image.max() > 240


def test_sixteen_bit_grey_that_is_turned():
    grey = (np.arange(41 * 60).reshape(41, 60) * 26).astype(np.uint16)
    image = decode(file_bytes(Image.fromarray(grey), "PNG", exif=exif(6))).numpy()
    np.testing.assert_array_equal(image[..., 0], np.rot90(grey >> 8, -1))


def test_pixels_that_are_real_numbers_are_refused():
    contents = file_bytes(Image.fromarray(PIXELS[..., 0].astype(np.float32) / 255), "TIFF")
    with pytest.raises(tf.errors.OpError, match="real numbers"):
        windowed(contents)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation, kind, big_endian):
    contents = file_bytes(PIXELS, kind, exif=exif(orientation, big_endian))
    stored = opened(contents)
    turn = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, -1),
        7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
        8: lambda x: np.rot90(x),
    }[orientation]
    np.testing.assert_array_equal(decode(contents).numpy(), turn(stored))
    np.testing.assert_array_equal(*windowed(contents))


def test_orientation_behind_a_colour_profile_and_a_comment():
    contents = file_bytes(PIXELS, exif=exif(6))
    start = contents.index(b"\xff\xe1")
    profile = b"\xff\xe2" + (60_002).to_bytes(2, "big") + bytes(60_000)
    contents = contents[:start] + profile + contents[start:]
    np.testing.assert_array_equal(decode(contents).numpy(), np.rot90(opened(contents), -1))


def test_orientation_in_the_pixels_is_none():
    # The same bytes, where no EXIF block begins.
    contents = file_bytes(PIXELS, comment=b"II*\0\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00")
    np.testing.assert_array_equal(decode(contents).numpy(), opened(contents))


def broken_files():
    jpeg, png = file_bytes(smooth_pixels(200, 300)), file_bytes(PIXELS, "PNG")
    return {
        "empty": b"",
        "a byte": b"\xff",
        "JPEG's first bytes": jpeg[:3],
        "a tenth of a JPEG": jpeg[: len(jpeg) // 10],
        "half a JPEG": jpeg[: len(jpeg) // 2],
        "most of a JPEG": jpeg[:-20],
        "half a PNG": png[: len(png) // 2],
        "PNG's first bytes": png[:8],
        "half a GIF": KINDS["GIF"][0][:200],
        "text": b"<html>404</html>",
        "half a turned JPEG": file_bytes(PIXELS, exif=exif(6))[:900],
    }


@pytest.mark.parametrize("contents", broken_files().values(), ids=broken_files().keys())
@pytest.mark.parametrize("window", [(0, 0, 1, 1), (0, 0, 8, 8)])
def test_broken_files_are_refused_whatever_the_window(contents, window):
    with pytest.raises(tf.errors.OpError):
        windowed(contents, window)


def test_reasons(tmp_path):
    jpeg = file_bytes(smooth_pixels(200, 300))
    expected = {
        "empty.jpg": (b"", "it is empty"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "text.jpg": (b"<html>404</html>", "it is no image of a known format"),
        "whole.jpg": (jpeg, "what TensorFlow says"),
    }
    for name, (contents, message) in expected.items():
        (tmp_path / name).write_bytes(contents)
        assert message in why_undecodable(tmp_path / name, ValueError("what TensorFlow\nsays")), name
    assert why_undecodable(tmp_path / "none.jpg", ValueError()) == "No such file or directory"
