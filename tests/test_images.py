"""Opening pictures: whatever people have, the broken and the hostile ones too."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from focusedfashion import settings
from focusedfashion.errors import MissingExtra, PictureError
from focusedfashion.images import (
    decode_image,
    fit_image,
    make_thumbnail,
    name_thumbnail_type,
    open_image,
    read_bytes,
    read_file,
    stamp_file,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
HEIF_BRANDS = ("heic", "mif1")


def draw(width: int = 48, height: int = 32) -> Image.Image:
    """Four areas, so that every flip and turn shows: red, green above, blue, black below."""
    image = Image.new("RGB", (width, height))
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def encode_heic(image: Image.Image) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC is not tested: pillow_heif is not installed")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90)
    return buffer.getvalue()


def encode_png(width: int, height: int, depth: int, kind: int, rows: bytes = b"", chunks: bytes = b"") -> bytes:
    """A PNG by hand; `kind` is 0 grey, 2 RGB, 3 palette. Each row begins with a zero byte."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def is_close(pixels: Any, reference: Any, tolerance: float = 0) -> bool:
    difference = np.abs(np.asarray(pixels, np.float64) - np.asarray(reference, np.float64))
    return bool(np.all(difference <= tolerance))


def check_areas(rgb: NDArray[np.uint8], tolerance: int = 20) -> None:
    """The pixels are `draw`'s, whatever their number."""
    height, width = rgb.shape[:2]
    for color, x, y in ((RED, 1, 1), (GREEN, 3, 1), (BLUE, 1, 3), ((0, 0, 0), 3, 3)):
        assert is_close(rgb[height * y // 4, width * x // 4], color, tolerance), (
            color,
            rgb[height * y // 4, width * x // 4],
        )


# Formats


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"quality": 95}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 95}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("MPO", {"quality": 95, "save_all": True, "append_images": [Image.new("RGB", (48, 32), "white")]}),
    ],
)
def test_formats(tmp_path: Path, format: str, options: dict[str, Any]) -> None:
    data = encode(draw(), format, **options)
    rgb = open_image(data)
    assert (rgb.shape, rgb.dtype) == ((32, 48, 3), np.uint8)
    check_areas(rgb)
    path = tmp_path / "picture.of.any.name"  # the content decides
    path.write_bytes(data)
    assert np.array_equal(open_image(path), rgb)
    assert np.array_equal(open_image(str(path)), rgb)


@pytest.mark.parametrize("brand", HEIF_BRANDS)
def test_heic(brand: str) -> None:
    data = encode_heic(draw()).replace(b"ftypheic", b"ftyp" + brand.encode(), 1)
    rgb = open_image(data)
    assert rgb.shape == (32, 48, 3)
    check_areas(rgb)
    with pytest.raises(PictureError, match=r"broken or cut off|a damaged one"):
        open_image(data[: len(data) // 2])


@pytest.mark.parametrize("brand", HEIF_BRANDS)
def test_heic_without_its_extra_names_it(brand: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = struct.pack(">I", 24) + b"ftyp" + brand.encode() + bytes(4) + b"mif1heic" + bytes(100)
    with pytest.raises(MissingExtra, match=r"a HEIC picture needs the extra 'heic': pip install -e '\.\[heic\]'"):
        open_image(data)


def test_avif_under_the_general_brand_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    check_areas(open_image(encode(draw(), "AVIF", quality=95).replace(b"ftypavif", b"ftypmif1", 1)))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(format: str) -> None:
    frames = [Image.new("RGB", (20, 10), color) for color in (GREEN, BLUE)]
    rgb = open_image(encode(draw(20, 10), format, save_all=True, append_images=frames))
    assert rgb.shape == (10, 20, 3)
    check_areas(rgb, tolerance=60)


# Colors


def test_cmyk_jpeg() -> None:
    inks = {(0, 255, 255, 0): RED, (255, 0, 255, 0): GREEN, (0, 0, 0, 0): WHITE, (0, 0, 0, 128): (127, 127, 127)}
    for ink, color in inks.items():
        rgb = open_image(encode(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))
        assert is_close(rgb, color, 4), (ink, rgb[0, 0])


def test_grayscale_and_1_bit() -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (8, 1))
    expected = np.repeat(ramp[..., None], 3, axis=2)
    assert is_close(open_image(encode(Image.fromarray(ramp), "JPEG", quality=100)), expected, 2)
    assert np.array_equal(open_image(encode(Image.fromarray(ramp), "PNG")), expected)
    bits = Image.fromarray(ramp > 100)
    assert bits.mode == "1"
    for format in ("PNG", "TIFF"):
        assert np.array_equal(open_image(encode(bits, format)), (expected > 100) * np.uint8(255)), format


def test_16_bit_grey_is_scaled_and_not_clipped() -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16)[None]
    expected = np.repeat(np.rint(values / 257.0)[..., None], 3, axis=2)
    for format in ("PNG", "TIFF"):
        assert is_close(open_image(encode(Image.fromarray(values), format)), expected), format
    dark = open_image(encode(Image.fromarray(values // 4), "PNG"))
    assert is_close(dark, expected / 4, 1)  # and a dark picture stays dark


def test_16_bit_color() -> None:
    row = b"\0" + struct.pack(">6H", 65535, 32768, 0, 257, 514, 60000)
    assert is_close(open_image(encode_png(2, 1, 16, 2, row)), [[[255, 128, 0], [1, 2, 233]]], 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 257, 65535], np.int32), [0, 1, 255]),
        (np.array([-5, 2**30, 2**31 - 1], np.int32), [0, 128, 255]),
        (np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255]),
        (np.array([0.0, 127.5, 255.0], np.float32), [0, 128, 255]),
        (np.array([np.nan, -1.0, np.inf, 0.25], np.float32), [0, 0, 255, 64]),
        (np.array([np.nan, np.nan], np.float32), [0, 0]),
    ],
)
def test_32_bit_and_float_tiff(values: NDArray[Any], expected: list[int]) -> None:
    rgb = open_image(encode(Image.fromarray(values[None]), "TIFF"))
    assert is_close(rgb, np.array(expected)[None, :, None], 1)


def test_transparency_is_laid_on_white() -> None:
    clear, half, full = (255, 0, 0, 0), (255, 0, 0, 128), (255, 0, 0, 255)
    rgba = Image.new("RGBA", (3, 1))
    for x, pixel in enumerate((clear, half, full)):
        rgba.putpixel((x, 0), pixel)
    expected = [[WHITE, (255, 127, 127), RED]]
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        assert is_close(open_image(encode(rgba, format, **options)), expected, 1), format
    assert is_close(open_image(encode(rgba.convert("LA"), "PNG")), [[WHITE, (165, 165, 165), (76, 76, 76)]], 1)


def test_palettes_with_transparency() -> None:
    palette = _chunk(b"PLTE", bytes([*RED, *GREEN, *BLUE]))
    alphas = _chunk(b"tRNS", bytes([0, 128]))  # the third color is opaque
    rgb = open_image(encode_png(3, 1, 8, 3, b"\0\0\1\2", palette + alphas))
    assert is_close(rgb, [[WHITE, (127, 255, 127), BLUE]], 1)
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    assert is_close(open_image(encode(image, "GIF", transparency=0)), [[WHITE, BLUE]])
    assert is_close(open_image(encode(image, "PNG")), [[RED, BLUE]])


def test_one_transparent_color() -> None:
    rgb = open_image(encode(draw(4, 4), "PNG", transparency=RED))
    assert is_close(rgb[0, 0], WHITE)
    assert is_close(rgb[0, 3], GREEN)


def make_profile(primaries: dict[bytes, tuple[float, float, float]], name: str) -> bytes:
    """An ICC profile of an RGB space with sRGB's curve; the primaries are XYZ at D50."""

    def fixed(*numbers: float) -> bytes:
        return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)

    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    text = name.encode() + b"\0"
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)}
    tags |= {b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)}
    tags |= {tag: b"XYZ " + bytes(4) + fixed(*xyz) for tag, xyz in primaries.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I", start + len(body)) + b"lcms" + bytes([2, 0x40, 0, 0]) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249) + bytes(48)
    return head + table + body


DISPLAY_P3 = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


@pytest.mark.parametrize(("format", "tolerance"), [("PNG", 2), ("JPEG", 4), ("TIFF", 2), ("WEBP", 2)])
def test_a_wide_gamut_becomes_srgb(format: str, tolerance: int) -> None:
    profile = make_profile(DISPLAY_P3, "A phone's wide gamut")
    options: dict[str, Any] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    # (Display P3, the same color as sRGB), worked out with the matrices of both spaces
    for color, expected in {
        (200, 100, 100): (214, 94, 97),
        (100, 180, 90): (64, 182, 78),
        (128,) * 3: (128,) * 3,
    }.items():
        rgb = open_image(encode(Image.new("RGB", (16, 16), color), format, icc_profile=profile, **options))
        assert is_close(rgb, expected, tolerance), (color, rgb[0, 0])
    clear = Image.new("RGBA", (4, 4), (200, 100, 100, 255))
    clear.putpixel((0, 0), (0, 0, 0, 0))
    rgb = open_image(encode(clear, "PNG", icc_profile=profile))
    assert is_close(rgb[0, 0], WHITE, 1)
    assert is_close(rgb[1, 1], (214, 94, 97), 2)


def test_a_profile_that_is_broken_or_of_another_kind_is_ignored() -> None:
    for profile in (b"no profile at all", make_profile(DISPLAY_P3, "wide")[:200]):
        check_areas(open_image(encode(draw(), "PNG", icc_profile=profile)))
    grey = Image.new("L", (4, 4), 100)
    assert is_close(open_image(encode(grey, "PNG", icc_profile=make_profile(DISPLAY_P3, "wide"))), 100)


# Orientation


def _store(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The pixels as a camera stores them, after the definition of EXIF's orientations."""
    swapped = upright.transpose(1, 0, 2)
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: swapped,
        6: swapped[::-1],
        7: swapped[::-1, ::-1],
        8: swapped[:, ::-1],
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_pictures_are_turned_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(_store(np.asarray(draw()), orientation)))
    rgb = open_image(encode(stored, format, exif=exif))
    assert rgb.shape == (32, 48, 3)
    check_areas(rgb, tolerance=60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_jpegs_are_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(_store(np.asarray(draw(1800, 1202)), orientation)))
    rgb = open_image(encode(stored, "JPEG", exif=exif))
    assert rgb.shape == (601, 900, 3)
    check_areas(rgb)


BROKEN_EXIF = (b"Exif\0\0garbage", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # the tests' own filter comes before that of images.py
@pytest.mark.parametrize("exif", BROKEN_EXIF)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_broken_metadata_does_not_make_a_broken_picture(format: str, exif: bytes) -> None:
    check_areas(open_image(encode(draw(), format, exif=exif)), tolerance=60)


def test_nothing_is_printed_about_broken_metadata_or_large_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(draw(), "JPEG", exif=BROKEN_EXIF[-1]))
    (tmp_path / "b.png").write_bytes(encode_png(10_000, 10_000, 8, 2))
    code = """
import contextlib, sys
from focusedfashion.errors import PictureError
from focusedfashion.images import open_image
print(open_image(sys.argv[1]).shape)
with contextlib.suppress(PictureError):
    open_image(sys.argv[2])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert (done.stdout, done.stderr) == ("(32, 48, 3)\n", "")


# Size


@pytest.mark.parametrize("size", [(4000, 3000), (3024, 4032)])
def test_a_12_megapixel_photo_is_opened_small(size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    small = Image.fromarray(np.stack([*np.meshgrid(ramp, ramp), np.full((64, 64), 90, np.uint8)], axis=2))
    photo = small.resize(size, Image.Resampling.BILINEAR)
    rgb = open_image(encode(photo, "JPEG", quality=90))
    height, width = rgb.shape[:2]
    assert 640 <= max(width, height) < 1280
    assert width / height == pytest.approx(size[0] / size[1], rel=0.01)
    assert is_close(rgb, photo.reduce(4), 6)


@pytest.mark.parametrize(
    ("side", "as_png", "as_jpeg"),  # a JPEG is reduced by 2, 4 or 8, anything else by every whole number
    [
        (1, 1, 1),
        (639, 639, 639),
        (1279, 1279, 1279),
        (1280, 640, 640),
        (1918, 959, 959),
        (1920, 640, 960),
        (5121, 641, 641),
        (12_800, 640, 800),
    ],
)
def test_the_longer_side_is_reduced_by_whole_factors(side: int, as_png: int, as_jpeg: int) -> None:
    for format, opened in (("PNG", as_png), ("JPEG", as_jpeg)):
        rgb = open_image(encode(Image.new("RGB", (70, side), RED), format))
        assert max(rgb.shape) == max(opened, 70)
        assert is_close(rgb, RED, 3)


def test_opening_what_was_opened_changes_nothing() -> None:
    once = open_image(encode(draw(1500, 1000), "PNG"))
    assert once.shape == (500, 750, 3)
    assert np.array_equal(open_image(once), once)
    assert np.array_equal(open_image(np.asarray(draw(1500, 1000))), once)


@pytest.mark.parametrize("side", [8_400, 10_000, 17_321])  # Pillow warns of the second and refuses the third
def test_too_many_pixels_are_refused_by_the_header(side: int) -> None:
    png = encode_png(side, side, 8, 2)
    jpeg = bytearray(encode(draw(), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5  # the frame's height and width
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    for data in (png, bytes(jpeg)):
        assert len(data) < 2_000
        with pytest.raises(PictureError, match="more than 70 megapixels; save it smaller"):
            open_image(data)


def test_too_large_a_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_PICTURE_BYTES", 1_000)
    data = encode(draw(), "BMP")
    (tmp_path / "a.bmp").write_bytes(data)
    for picture, name in ((data, ""), (tmp_path / "a.bmp", f"{tmp_path / 'a.bmp'}: ")):
        with pytest.raises(PictureError) as caught:
            open_image(picture)
        assert str(caught.value) == f"{name}{len(data):,} bytes, more than 1,000; save it smaller"


# What is no picture


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_a_truncated_picture_is_refused_and_not_half_grey(tmp_path: Path, format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), format)
    path = tmp_path / "a.jpg"
    for length in (20, len(data) // 2, len(data) * 9 // 10):
        path.write_bytes(data[:length])
        with pytest.raises(PictureError) as caught:
            open_image(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_a_large_truncated_jpeg_is_refused() -> None:
    data = encode(draw(1800, 1200), "JPEG")
    with pytest.raises(PictureError, match="broken or cut off"):
        open_image(data[: len(data) // 2])


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    for name, content, says in (
        ("empty.jpg", b"", "the file is empty"),
        ("text.jpg", b"<html>404 Not Found</html>" * 10, "not a picture"),
        ("zeros.jpg", bytes(1_000), "not a picture"),
        ("icon.ico", encode(draw(), "ICO"), "not a picture"),
        ("print.eps", encode(draw(), "EPS"), "not a picture"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PictureError) as caught:
            open_image(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: {says}")


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    for path, says in (
        (tmp_path / "missing.jpg", "no such file"),
        (tmp_path, "a folder, not a picture"),
        (tmp_path / "a.jpg" / "b.jpg", "Not a directory"),
        (tmp_path / "nul\0.jpg", "null"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        for function in (open_image, read_bytes):
            with pytest.raises(PictureError) as caught:
                function(path)
            assert str(caught.value).startswith(str(path))
            assert says in str(caught.value)


def test_a_stamp_tells_every_change_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SETTLED_SECONDS", 0)
    path, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    path.write_bytes(b"one")
    stamps = [stamp_file(path)]
    assert read_file(path) == (b"one", stamps[0]) and stamp_file(str(path)) == stamps[0]
    path.write_bytes(b"three")
    stamps.append(stamp_file(path))
    os.utime(path, ns=(0, 10**18))
    stamps.append(stamp_file(path))
    other.write_bytes(b"four!")
    os.utime(other, ns=(0, 10**18))
    other.replace(path)
    stamps.append(stamp_file(path))
    assert None not in stamps and len(set(stamps)) == 4
    monkeypatch.setattr(settings, "SETTLED_SECONDS", 60)
    assert (stamp_file(path) is None) is (os.name != "nt")  # its status changed a moment ago
    path.write_bytes(b"five")
    assert stamp_file(path) is None
    path.unlink()
    with pytest.raises(PictureError, match=r"a\.jpg: no such file"):
        stamp_file(path)
    with pytest.raises(PictureError, match="a folder, not a picture"):
        stamp_file(tmp_path)


@pytest.mark.parametrize("changed", ["st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"])
def test_a_stamp_holds_all_that_tells_two_files_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    if os.name == "nt" and changed == "st_ctime_ns":
        pytest.skip("the time of creation says nothing")
    status = {"st_mode": 0o100644, "st_size": 7, "st_mtime_ns": 8, "st_ctime_ns": 9, "st_ino": 10}
    monkeypatch.setattr(Path, "stat", lambda path: SimpleNamespace(**status))
    before = stamp_file(tmp_path / "a.jpg")
    assert before is not None
    status[changed] += 1
    assert stamp_file(tmp_path / "a.jpg") != before


def test_what_is_written_while_a_file_is_read_leaves_another_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SETTLED_SECONDS", 0)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    read = Path.read_bytes

    def read_and_write(path: Path) -> bytes:
        data = read(path)
        path.write_bytes(b"newer")
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_write)
    data, stamp = read_file(path)
    assert (data, stamp is not None) == (b"old", True)
    assert stamp_file(path) != stamp


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PictureError, match="a device, not a picture"):
        open_image(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_damaged_bytes_give_pixels_or_a_picture_error(format: str) -> None:
    rng = np.random.default_rng(1)
    whole = encode(draw(), format)
    for _ in range(40):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 4):
            data[at] = rng.integers(0, 256)
        try:
            rgb = open_image(bytes(data))
        except PictureError as error:
            assert "\n" not in str(error)
        else:
            assert rgb.dtype == np.uint8
            assert rgb.shape[2:] == (3,)


# Pixels


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_pixels_of_another_shape_or_type_are_refused(pixels: Any) -> None:
    with pytest.raises(PictureError, match=r"pixels must be uint8 \(height, width, 3\), not (uint8|float32) \("):
        open_image(pixels)


def test_pixels_are_reduced_and_never_changed() -> None:
    pixels = np.asarray(draw(1300, 1400))[::-1]  # not contiguous
    before = pixels.copy()
    rgb = open_image(pixels)
    assert rgb.shape == (700, 650, 3)
    check_areas(rgb[::-1])
    assert np.array_equal(pixels, before)


# Thumbnails and fitting


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 500), (320, 160)),
        ((500, 1000), (160, 320)),
        ((320, 10), (320, 10)),
        ((48, 32), (48, 32)),
        ((5000, 2), (320, 1)),
    ],
)
def test_thumbnails(size: tuple[int, int], expected: tuple[int, int]) -> None:
    data = make_thumbnail(np.asarray(draw(*size)))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", expected)
    if min(expected) > 16:
        check_areas(open_image(data), tolerance=40)


def test_a_thumbnail_has_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera of Somebody"
    photo = encode(draw(), "JPEG", exif=exif, icc_profile=make_profile(DISPLAY_P3, "wide"), comment=b"Somebody's home")
    data = make_thumbnail(open_image(photo))
    with Image.open(io.BytesIO(data)) as image:
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)
    assert b"Somebody" in photo
    assert b"Somebody" not in data


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_a_decoded_picture_serves_as_its_pixels_do(format: str) -> None:
    options: dict[str, Any] = {"comment": b"Somebody"} if format in ("JPEG", "GIF") else {}
    data = encode(draw(700, 500), format, **options)
    decoded, pixels = decode_image(data), open_image(data)
    assert np.array_equal(np.asarray(decoded), pixels)
    assert make_thumbnail(decoded) == make_thumbnail(pixels)
    assert np.array_equal(fit_image(decoded, 96, 128), fit_image(pixels, 96, 128))


def test_a_thumbnails_type_is_seen_from_its_bytes() -> None:
    assert name_thumbnail_type(make_thumbnail(np.asarray(draw()))) == "image/jpeg"
    assert name_thumbnail_type(encode(draw(), "WEBP")) == "image/webp"


@pytest.mark.parametrize("size", [(48, 32), (32, 48), (640, 480), (1, 1), (1, 900), (900, 1), (224, 224)])
@pytest.mark.parametrize("target", [(224, 224), (192, 256), (7, 5)])
def test_fitting_gives_the_size_that_was_asked_for(size: tuple[int, int], target: tuple[int, int]) -> None:
    rgb = fit_image(np.full((size[1], size[0], 3), 77, np.uint8), *target)
    assert (rgb.shape, rgb.dtype, rgb.flags.c_contiguous) == ((target[1], target[0], 3), np.uint8, True)
    assert is_close(rgb, 77)


@pytest.mark.parametrize("size", [(48, 32), (31, 90), (1, 900)])
def test_fitting_fills_the_rest_as_numpy_does(size: tuple[int, int]) -> None:
    source = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    side = max(size) + 7
    scale = side / max(size)
    inner = [max(1, round(length * scale)) for length in size]
    scaled = np.asarray(Image.fromarray(source).resize(inner, Image.Resampling.BILINEAR, reducing_gap=2.0))
    before = [(side - length) // 2 for length in inner]
    padding = [(first, side - length - first) for first, length in zip(before[::-1], inner[::-1], strict=True)]
    assert np.array_equal(fit_image(source, side, side), np.pad(scaled, [*padding, (0, 0)], mode="edge"))


def test_fitting_keeps_the_whole_picture_and_pads_with_its_edges() -> None:
    source = np.asarray(draw(48, 32))
    rgb = fit_image(source, 48, 48)  # 8 rows above and below
    assert np.array_equal(rgb[8:40], source)
    assert np.array_equal(rgb[:8], np.repeat(source[:1], 8, axis=0))
    assert np.array_equal(rgb[40:], np.repeat(source[-1:], 8, axis=0))
    rgb = fit_image(source, 224, 224)
    scaled = rgb[round((224 - 149) / 2) :][:149]  # 48 x 32 becomes 224 x 149
    check_areas(scaled, tolerance=5)
    assert np.array_equal(source, np.asarray(draw(48, 32)))


# A box


def draw_plan(width: int, height: int) -> Image.Image:
    """Each pixel says where it is: red grows to the right, green downwards; smooth, so that a JPEG keeps it."""
    plan = np.full((height, width, 3), 90, np.uint8)
    plan[..., 0] = np.linspace(0, 255, width).round()
    plan[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return Image.fromarray(plan)


@pytest.mark.parametrize(
    ("size", "box", "expected"),  # the box's longer side decides: 640 px or more where the original has them
    [
        ((2000, 1500), (100, 200, 500, 500), (300, 400)),  # the picture would be halved, the box must not be
        ((2000, 1500), (0, 0, 1279, 1500), (750, 640)),  # half of 1,500
        ((1900, 700), (500, 100, 1780, 600), (250, 640)),
        ((1900, 700), (500, 100, 1779, 600), (500, 1279)),
        ((96, 6000), (16, 40, 80, 5640), (700, 8)),
        ((800, 600), (10, 20, 30, 25), (5, 20)),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_box_is_cut_out_and_reduced_by_its_own_size(
    format: str, size: tuple[int, int], box: tuple[int, int, int, int], expected: tuple[int, int]
) -> None:
    plan = draw_plan(*size)
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {"compress_level": 1}
    rgb = open_image(encode(plan, format, **options), box)
    assert rgb.shape == (*expected, 3)
    assert is_close(rgb, plan.crop(box).resize(rgb.shape[1::-1], Image.Resampling.BOX), 4)


@pytest.mark.parametrize("side", [639, 1279, 1280, 1001, 1918, 2561, 5121])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_box_around_the_whole_picture_changes_nothing(format: str, side: int) -> None:
    data = encode(draw_plan(side, side // 3), format)
    assert np.array_equal(open_image(data, (0, 0, side, side // 3)), open_image(data))
    assert np.array_equal(open_image(data, (-5.0, -0.1, side + 0.1, float("inf"))), open_image(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_box_is_one_of_the_upright_picture(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(_store(np.asarray(draw(96, 64)), orientation)))
    data = encode(stored, format, exif=exif)
    for box, color in (((2, 2, 46, 30), RED), ((50, 2, 94, 30), GREEN), ((2, 34, 46, 62), BLUE)):
        rgb = open_image(data, box)
        assert rgb.shape == (28, 44, 3)
        assert is_close(rgb.mean(axis=(0, 1)), color, 12)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_box_of_a_large_jpeg_that_is_turned(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plan = draw_plan(1501, 2803)
    stored = Image.fromarray(np.ascontiguousarray(_store(np.asarray(plan), orientation)))
    data = encode(stored, "JPEG", exif=exif, quality=95)
    box = (0, 1000, 1501, 2401)
    rgb = open_image(data, box)
    assert abs(rgb.shape[0] - 700) <= 1
    assert abs(rgb.shape[1] - 751) <= 1
    assert is_close(rgb, plan.crop(box).resize(rgb.shape[1::-1], Image.Resampling.BOX), 4)
    # 2,000 px high, but clipped to 700: halving it would leave 350
    assert open_image(data, (500, 2103, 600, 4103)).shape == (700, 100, 3)


def test_a_box_is_clipped_and_never_empty() -> None:
    pixels = np.asarray(draw())
    for picture in (encode(draw(), "PNG"), pixels):
        assert np.array_equal(open_image(picture, (-10, -10, 5, 4)), pixels[:4, :5])
        assert np.array_equal(open_image(picture, (40, 30, 1e9, 1e9)), pixels[30:, 40:])
        assert np.array_equal(open_image(picture, (4.4, 2.6, 7.6, 9.4)), pixels[3:9, 4:8])
        assert np.array_equal(open_image(picture, (47.8, 31.8, 48, 32)), pixels[31:, 47:])
        assert open_image(picture, (5, 5, 5.01, 5.01)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    "box",
    [
        (48, 0, 60, 10),
        (-9, 0, 0, 10),
        (0, 32, 10, 40),
        (0, -5, 10, -1),
        (20, 5, 10, 9),
        (5, 5, 5, 9),
        (float("nan"), 0, 9, 9),
        (0, 0, 9, float("nan")),
    ],
)
def test_a_box_outside_of_the_picture_is_refused(tmp_path: Path, box: tuple[float, float, float, float]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(draw(), "JPEG"))
    says = r"nothing of the box \(.*\) lies in the picture of 48 x 32 pixels"
    for picture in (path, encode(draw(), "PNG"), np.asarray(draw())):
        with pytest.raises(PictureError, match=says) as caught:
            open_image(picture, box)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"{path}: " if picture is path else "nothing")


def test_the_colors_of_a_box_are_those_of_the_picture() -> None:
    """A palette, transparency, a profile and what is white are kept when a part is cut out."""
    palette = Image.new("P", (8, 8))
    palette.putpalette([*RED, *BLUE])
    palette.paste(1, (4, 0, 8, 8))
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 128))
    ramp = np.linspace(0, 1e5, 64, dtype=np.int32).reshape(8, 8)  # more than 16 bits: the lightest pixel is white
    profile = make_profile(DISPLAY_P3, "A phone's wide gamut")
    for data in (
        encode(palette, "GIF", transparency=0),
        encode(palette, "PNG", transparency=0),
        encode(clear, "PNG"),
        encode(Image.fromarray(ramp), "TIFF"),
        encode(Image.new("RGB", (8, 8), (200, 100, 100)), "PNG", icc_profile=profile),
        encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"),
    ):
        assert np.array_equal(open_image(data, (2, 1, 7, 5)), open_image(data)[1:5, 2:7])
