"""Bytes -> RGB pixels, upright, within limits; thumbnails. The one decoding path of indexing, queries and training."""

from __future__ import annotations

import io
import logging
import os
import stat
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from focusedfashion import settings
from focusedfashion.errors import MissingExtra, PictureError

RGB = NDArray[np.uint8]
Picture = bytes | str | os.PathLike[str] | RGB
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the whole upright picture
Decoded = Image.Image  # as `decode_image` gives it: mode RGB, upright, reduced, without metadata

# Only formats that people have photos in: Pillow's others (EPS, FITS, ...) are attack surface. A phone's MPO is opened
# as the JPEG that it begins with; HEIF joins the list where its plugin is there.
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")

# What makes a picture upright, by its EXIF orientation; 1 is upright already.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)  # those that swap width and height

RULES = ("fit", "squash", "crop", "crop-even", "shortest", "shortest-even")  # of resize_image
FILTERS = {  # of resize_image
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_TOO_LARGE = f"more than {settings.MAX_PIXELS / 1e6:.0f} megapixels; save it smaller"

# Pillow warns of large pictures (our own cap is lower) and of broken metadata (which we do without), and logs what it
# then raises: lines between the user's own that nothing can be done about.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


def open_image(picture: Picture, box: Box | None = None) -> RGB:
    """A picture, or its part in `box` -> RGB uint8 (height, width, 3), upright, its longer side reduced towards 640 px.

    Takes a path, the encoded bytes, or pixels (uint8 (h, w, 3), which are reduced in the same way). The reduction is
    by a whole factor that keeps the longer side at 640 px or more (a JPEG is decoded small by scaling its DCT, by 2, 4
    or 8), so a photo gives the same pixels wherever it is opened. EXIF rotation is applied, transparency is laid on
    white, wide-gamut and CMYK pictures with a color profile become sRGB, 16-bit becomes 8-bit, of an animation the
    first frame counts.

    A box is clipped to the picture, and then the box's longer side decides on the reduction, not the picture's.
    Raises PictureError with the reason in one line, also where nothing of the box lies in the picture.
    """
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
            raise PictureError(f"pixels must be uint8 (height, width, 3), not {picture.dtype} {picture.shape}")
        if box is not None:
            size = (picture.shape[1], picture.shape[0])
            left, top, right, bottom = _to_pixels(_clip(box, size), size, size)
            picture = np.ascontiguousarray(picture[top:bottom, left:right])
        return np.asarray(_reduce(Image.fromarray(picture))) if _reduction(*picture.shape[:2]) > 1 else picture
    data, name = read_bytes(picture), "" if isinstance(picture, bytes) else f"{picture}: "
    try:
        return np.asarray(decode_image(data, box))
    except PictureError as error:
        raise PictureError(f"{name}{error}") from None


def read_bytes(picture: bytes | str | os.PathLike[str]) -> bytes:
    """The encoded bytes of a picture that is bytes or a path. Raises PictureError where there is no readable file."""
    return picture if isinstance(picture, bytes) else read_file(picture)[0]


def read_file(path: str | os.PathLike[str]) -> tuple[bytes, str | None]:
    """A picture's file -> (its bytes, its stamp as `stamp_file` gives it). Raises PictureError."""
    path = Path(path)
    with _file_errors(path):
        # The stamp is taken before the bytes: what is written meanwhile leaves another one.
        stamp = _make_stamp(_check_file(path))
        return path.read_bytes(), stamp


def stamp_file(path: str | os.PathLike[str]) -> str | None:
    """The state of a picture's file without reading it; None where that cannot be told. Raises PictureError.

    A stamp is the file's size, the time when its content changed, the time when anything of it changed (but on
    Windows, which does not keep that) and its number in the file system: equal stamps mean the same bytes. A file has
    none until settings.SETTLED_SECONDS after its last change, since it may change again in one tick of its clock.
    """
    path = Path(path)
    with _file_errors(path):
        return _make_stamp(_check_file(path))


def make_thumbnail(picture: RGB | Decoded) -> bytes:
    """RGB uint8 (h, w, 3), or what `decode_image` gave -> JPEG, the longer side at most 320 px, without metadata."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    scale = settings.THUMBNAIL_SIDE / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=settings.THUMBNAIL_QUALITY)
    return buffer.getvalue()


def name_thumbnail_type(thumbnail: bytes) -> str:
    """The media type of a catalog's thumbnail: "image/jpeg", or "image/webp" of the first catalogs."""
    return "image/webp" if thumbnail[:4] == b"RIFF" and thumbnail[8:12] == b"WEBP" else "image/jpeg"


def fit_image(picture: RGB | Decoded, width: int, height: int) -> RGB:
    """RGB uint8 (h, w, 3), or what `decode_image` gave -> RGB uint8 (height, width, 3).

    The picture is scaled to fit whole, the rest filled by its own edge pixels: nothing is cut off (a hem or a sleeve
    decides what a garment is) and nothing is squashed.
    """
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    scale = min(width / image.width, height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if inner != image.size:
        image = image.resize(inner, Image.Resampling.BILINEAR, reducing_gap=2.0)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    right, bottom = left + inner[0], top + inner[1]
    # As np.pad(mode="edge") does, in a tenth of its time.
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[top:bottom, left:right] = np.asarray(image)
    canvas[top:bottom, :left] = canvas[top:bottom, left : left + 1]
    canvas[top:bottom, right:] = canvas[top:bottom, right - 1 : right]
    canvas[:top] = canvas[top]
    canvas[bottom:] = canvas[bottom - 1]
    return canvas


def resize_image(
    picture: RGB | Decoded, width: int, height: int, rule: str = "fit", resize_to: int = 0, kernel: str = "bicubic"
) -> RGB:
    """RGB uint8 (h, w, 3), or what `decode_image` gave -> RGB uint8 (height, width, 3), by one of RULES.

    "fit" is `fit_image`, with a filter of its own; the others resize by `kernel`, one of FILTERS. "squash" makes width
    x height of it, whatever the picture's shape. "crop" makes both sides `resize_to`, "shortest" the shorter one, and
    the middle width x height is taken. Where that cannot be the very middle it is half a pixel before it, and with
    "crop-even" and "shortest-even" it begins at an even number, as it does in torchvision.
    """
    if rule == "fit":
        return fit_image(picture, width, height)
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    even = rule.endswith("-even")
    if rule.startswith("shortest"):
        return _cut_middle(image, width, height, resize_to, FILTERS[kernel], even)
    size = (width, height) if rule == "squash" else (resize_to, resize_to)
    if size != image.size:
        image = image.resize(size, FILTERS[kernel])
    left, top = _center(size, width, height, even)
    return np.ascontiguousarray(np.asarray(image)[top : top + height, left : left + width])


def decode_image(data: bytes, box: Box | None = None) -> Decoded:
    """Encoded bytes -> what `open_image` gives as an array, still as Pillow has it, which saves copying the pixels.

    Raises PictureError.
    """
    if not data:
        raise PictureError("the file is empty")
    if len(data) > settings.MAX_PICTURE_BYTES:
        raise _too_many(len(data))
    formats = _choose_formats(data)
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            width, height = image.size
            if width * height > settings.MAX_PIXELS:
                raise PictureError(f"{width} x {height} pixels, {_TOO_LARGE}")
            whole = None  # the size of the upright picture; for other formats than JPEG it shows only when loaded
            if image.format in ("JPEG", "MPO"):
                # A scaled decode: Pillow picks the smallest of 1/1 to 1/8 whose sides are not below these.
                if box is None:
                    scale = settings.WORKING_SIDE / max(width, height)
                    draft = (max(1, int(width * scale)), max(1, int(height * scale)))
                else:
                    whole = (height, width) if _read_orientation(image) in _SIDEWAYS else (width, height)
                    left, top, right, bottom = _clip(box, whole)
                    longer = max(right - left, bottom - top)
                    factor = next((n for n in (8, 4, 2) if longer >= n * settings.WORKING_SIDE), 1)
                    draft = (max(1, width // factor), max(1, height // factor))
                image.draft("RGB", draft)
            image.load()
            upright = _turn_upright(image)
            part = None
            if box is not None:
                whole = whole or upright.size
                part = _to_pixels(_clip(box, whole), whole, upright.size)
            decoded = _reduce(_to_rgb(upright, part))
            decoded.info = {}  # a comment in it would be written into the thumbnail
            return decoded
    except UnidentifiedImageError:
        kinds = "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF are read"
        raise PictureError(f"not a picture, or a damaged one ({kinds})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # Pillow's own cap, met while it opens
        raise PictureError(_TOO_LARGE) from None
    except PictureError:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on broken data
        raise PictureError(f"broken or cut off ({error or type(error).__name__})") from None


def measure_image(data: bytes) -> tuple[int, int]:
    """Encoded bytes -> (width, height) of the whole upright picture, mostly by its header. Raises PictureError."""
    formats = _choose_formats(data)
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            width, height = image.size
            if width * height > settings.MAX_PIXELS:
                raise PictureError(f"{width} x {height} pixels, {_TOO_LARGE}")
            return (height, width) if _read_orientation(image) in _SIDEWAYS else (width, height)
    except PictureError:
        raise
    except Exception:  # Pillow's plugins raise nearly anything on broken data
        decode_image(data)  # says what is wrong
        raise PictureError("its size cannot be read") from None


def _choose_formats(data: bytes) -> tuple[str, ...]:
    """What Pillow may take the bytes for. Raises MissingExtra where they are HEIC, which it does not read alone."""
    if not _is_heif(data):
        return _FORMATS
    _register_heif()
    return ("HEIF",)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Turns the system's errors into PictureError."""
    try:
        yield
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # no permission, a NUL in the name
        raise PictureError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _check_file(path: Path) -> os.stat_result:
    """The status of a file that may hold a picture. Raises PictureError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # reading a named pipe would wait forever
        raise PictureError(f"{path}: {'a folder' if stat.S_ISDIR(status.st_mode) else 'a device'}, not a picture")
    if status.st_size > settings.MAX_PICTURE_BYTES:
        raise _too_many(status.st_size, f"{path}: ")
    return status


def _make_stamp(status: os.stat_result) -> str | None:
    # Windows keeps the time of creation in st_ctime.
    times = (status.st_mtime_ns,) if os.name == "nt" else (status.st_mtime_ns, status.st_ctime_ns)
    if time.time_ns() - max(times) < settings.SETTLED_SECONDS * 10**9:
        return None
    return " ".join(map(str, (status.st_size, *times, status.st_ino)))


def _turn_upright(image: Image.Image) -> Image.Image:
    # Pillow's exif_transpose writes the metadata anew, which can fail, and copies the pixels in any case.
    orientation = _read_orientation(image)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _read_orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata does not make a broken picture
        return None


def _cut_middle(
    image: Image.Image, width: int, height: int, shortest: int, kernel: Image.Resampling, even: bool
) -> RGB:
    """The middle width x height of the picture with a shorter side of `shortest`, as uint8 (height, width, 3)."""
    shorter = min(image.size)
    size = (shortest * image.width // shorter, shortest * image.height // shorter)
    left, top = _center(size, width, height, even)
    # Only the middle is computed, from the same pixels: the whole of a thread-like picture could be gigabytes.
    x, y = image.width / size[0], image.height / size[1]
    part = (left * x, top * y, min((left + width) * x, image.width), min((top + height) * y, image.height))
    return np.array(image.resize((width, height), kernel, box=part))


def _center(size: tuple[int, int], width: int, height: int, even: bool) -> tuple[int, int]:
    """Where the middle width x height of a (width, height) begins: (left, top)."""
    rest = size[0] - width, size[1] - height
    if even:
        return round(rest[0] / 2), round(rest[1] / 2)  # Python rounds a half to the even number
    return rest[0] // 2, rest[1] // 2


def _clip(box: Box, size: tuple[int, int]) -> Box:
    """The box's part within a picture of this (width, height). Raises PictureError where there is none."""
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
    if left < right and top < bottom:
        return left, top, right, bottom
    place = ", ".join(f"{number:g}" for number in box)
    raise PictureError(f"nothing of the box ({place}) lies in the picture of {size[0]} x {size[1]} pixels")


def _to_pixels(box: Box, whole: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A clipped box of a picture of size `whole` -> whole pixels of the same picture at `size`, at least one by one."""
    left, right = _scale(box[0], box[2], whole[0], size[0])
    top, bottom = _scale(box[1], box[3], whole[1], size[1])
    return left, top, right, bottom


def _scale(start: float, end: float, whole: int, side: int) -> tuple[int, int]:
    first = min(round(start * side / whole), side - 1)
    return first, max(first + 1, round(end * side / whole))


def _to_rgb(image: Image.Image, part: tuple[int, int, int, int] | None = None) -> Image.Image:
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _to_8_bits(image)
    if part is not None:  # not before: what is white depends on the whole picture
        image = image.crop(part)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    elif image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    if profile:
        image = _to_srgb(image, profile)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floats -> 8 bits; Pillow would clip it at 255.

    White is 65,535 for whole numbers and 1 for floats, or the lightest pixel where that is more.
    """
    grey = np.asarray(image).astype(np.float32)
    white = 1.0 if image.mode == "F" else 65535.0
    white = float(np.max(grey, initial=white, where=np.isfinite(grey)))
    np.nan_to_num(grey, copy=False, nan=0.0, posinf=white, neginf=0.0)
    np.clip(grey, 0.0, white, out=grey)
    grey *= 255.0 / white
    return Image.fromarray(np.rint(grey, out=grey).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Pixels of another color space (a phone's Display P3, a printer's CMYK) as sRGB; a broken profile is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image


def _reduce(image: Image.Image) -> Image.Image:
    factor = _reduction(*image.size)
    return image.reduce(factor) if factor > 1 else image


def _reduction(width: int, height: int) -> int:
    return max(width, height) // settings.WORKING_SIDE


def _too_many(size: int, name: str = "") -> PictureError:
    return PictureError(f"{name}{size:,} bytes, more than {settings.MAX_PICTURE_BYTES:,}; save it smaller")


def _is_heif(data: bytes) -> bool:
    if data[4:8] != b"ftyp":
        return False
    # The brand, then the compatible ones. The general brands may hold AVIF, which then stands beside them.
    brand, others = data[8:12], data[16 : min(64, int.from_bytes(data[:4], "big"))]
    if brand in (b"mif1", b"msf1"):
        return b"avif" not in others and b"avis" not in others
    return brand in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise MissingExtra("a HEIC picture", "heic") from None
    pillow_heif.register_heif_opener()
