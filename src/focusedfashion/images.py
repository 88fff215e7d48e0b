"""Bytes -> RGB pixels, upright, within limits; thumbnails. The one decoding path of indexing, queries and training."""

from __future__ import annotations

import io
import logging
import os
import stat
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from focusedfashion import settings
from focusedfashion.errors import MissingExtra, PictureError

RGB = NDArray[np.uint8]
Picture = bytes | str | os.PathLike[str] | RGB
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the whole upright picture

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
        return _reduce(Image.fromarray(picture)) if _reduction(*picture.shape[:2]) > 1 else picture
    data, name = read_bytes(picture), "" if isinstance(picture, bytes) else f"{picture}: "
    try:
        return _decode(data, box)
    except PictureError as error:
        raise PictureError(f"{name}{error}") from None


def read_bytes(picture: bytes | str | os.PathLike[str]) -> bytes:
    """The encoded bytes of a picture that is bytes or a path. Raises PictureError where there is no readable file."""
    if isinstance(picture, bytes):
        return picture
    path = Path(picture)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a named pipe would wait forever
            raise PictureError(f"{path}: {'a folder' if stat.S_ISDIR(status.st_mode) else 'a device'}, not a picture")
        if status.st_size > settings.MAX_PICTURE_BYTES:
            raise _too_many(status.st_size, f"{path}: ")
        return path.read_bytes()
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # no permission, a NUL in the name
        raise PictureError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def make_thumbnail(rgb: RGB) -> bytes:
    """RGB uint8 (h, w, 3) -> WebP bytes, the longer side at most 320 px, without any metadata."""
    image = Image.fromarray(rgb)
    image.thumbnail((settings.THUMBNAIL_SIDE, settings.THUMBNAIL_SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    # Method 2 takes about half the time of the default 4, for files that are hardly larger.
    image.save(buffer, "WEBP", quality=settings.THUMBNAIL_QUALITY, method=2)
    return buffer.getvalue()


def fit_image(rgb: RGB, width: int, height: int) -> RGB:
    """RGB uint8 (h, w, 3) -> RGB uint8 (height, width, 3): scaled to fit whole, the rest filled by its own edge pixels.

    Nothing is cut off (a hem or a sleeve decides what a garment is) and nothing is squashed.
    """
    source_height, source_width = rgb.shape[:2]
    scale = min(width / source_width, height / source_height)
    inner = (max(1, round(source_width * scale)), max(1, round(source_height * scale)))
    if inner == (source_width, source_height):
        fitted = rgb
    else:
        fitted = np.asarray(Image.fromarray(rgb).resize(inner, Image.Resampling.BILINEAR, reducing_gap=2.0))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    padding = ((top, height - inner[1] - top), (left, width - inner[0] - left), (0, 0))
    return np.ascontiguousarray(np.pad(fitted, padding, mode="edge"))


def _decode(data: bytes, box: Box | None = None) -> RGB:
    if not data:
        raise PictureError("the file is empty")
    if len(data) > settings.MAX_PICTURE_BYTES:
        raise _too_many(len(data))
    formats: tuple[str, ...] = _FORMATS
    if _is_heif(data):
        _register_heif()
        formats = ("HEIF",)
    too_large = f"more than {settings.MAX_PIXELS / 1e6:.0f} megapixels; save it smaller"
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            width, height = image.size
            if width * height > settings.MAX_PIXELS:
                raise PictureError(f"{width} x {height} pixels, {too_large}")
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
            if box is None:
                return _reduce(_to_rgb(upright))
            whole = whole or upright.size
            return _reduce(_to_rgb(upright, _to_pixels(_clip(box, whole), whole, upright.size)))
    except UnidentifiedImageError:
        kinds = "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF are read"
        raise PictureError(f"not a picture, or a damaged one ({kinds})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # Pillow's own cap, met while it opens
        raise PictureError(too_large) from None
    except PictureError:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on broken data
        raise PictureError(f"broken or cut off ({error or type(error).__name__})") from None


def _turn_upright(image: Image.Image) -> Image.Image:
    # Pillow's exif_transpose writes the metadata anew, which can fail, and copies the pixels in any case.
    orientation = _read_orientation(image)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _read_orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata does not make a broken picture
        return None


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


def _reduce(image: Image.Image) -> RGB:
    factor = _reduction(*image.size)
    return np.asarray(image.reduce(factor) if factor > 1 else image)


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
