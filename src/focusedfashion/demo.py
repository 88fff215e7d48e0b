"""The demo: a catalog of drawn garments, and photos of some of them to search it with."""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import load_encoder
from focusedfashion.errors import SourceError
from focusedfashion.fetch import Fetcher
from focusedfashion.indexing import IndexReport
from focusedfashion.sources import read_source


@dataclass(frozen=True, slots=True)
class Demo:
    """A catalog to look at, what indexing it did, and pictures to search it with (none for a person's own source)."""

    catalog: Catalog
    report: IndexReport
    photos: tuple[Path, ...]


def fetch_photos(folder: Path, tell: Callable[[str], None] = lambda line: None, *, allow_private: bool = False) -> Path:
    """The clothing-dataset (5,000 photos that people took of their own clothes, CC0) below `folder`, fetched once.

    Its folder, as the source `clothing-dataset:` reads it. Raises FetchError where it cannot be had, SourceError.
    """
    photos = folder / "clothing"
    if (photos / "images.csv").is_file():
        return photos
    part = _begin(photos)
    tell(f"fetching {settings.DEMO_ARCHIVE}")
    with Fetcher(allow_private=allow_private) as fetcher:
        fetcher.download(settings.DEMO_ARCHIVE, part / "archive.zip", most=settings.MAX_ARCHIVE)
    try:
        with zipfile.ZipFile(part / "archive.zip") as archive:
            for entry in archive.infolist():
                # Below one folder that is named by the branch. No other name, so none that leads elsewhere.
                name = re.fullmatch(r"[^/]+/(images\.csv|images/[\w-]+\.jpg)", entry.filename, re.IGNORECASE)
                if name and entry.file_size <= settings.MAX_PICTURE_BYTES:
                    target = part / name[1]
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise SourceError(
            f"{settings.DEMO_ARCHIVE} is no archive that can be read ({error}); try again later"
        ) from None
    (part / "archive.zip").unlink()
    if not (part / "images.csv").is_file():
        raise SourceError(f"{settings.DEMO_ARCHIVE} has no images.csv any more: fetch the set by hand")
    part.rename(photos)
    return photos


def make_demo(folder: Path, source: str | None = None, tell: Callable[[str], None] = lambda line: None) -> Demo:
    """Indexes a source, or drawn garments if none is named, into a catalog below `folder`.

    What lies there from an earlier call is used again. `tell` gets a line before each step that takes seconds. Raises
    SourceError, CatalogError.
    """
    photos: tuple[Path, ...] = ()
    if source is None:
        table = folder / "garments" / "samples.csv"
        if not table.is_file():
            tell(f"drawing {settings.DEMO_ITEMS} garments")
            _draw_garments(table.parent)
        if not (folder / "photos").is_dir():
            _draw_photos(folder / "photos")
        photos = tuple(sorted((folder / "photos").glob("*.jpg")))
        name, location = "catalog", str(table)
    else:
        # Two folders of the same name are two catalogs.
        path = Path(source.removeprefix("clothing-dataset:")).resolve()
        name, location = f"catalog-{path.stem}-{hashlib.sha1(str(path).encode()).hexdigest()[:6]}", source
    # By the encoder too: after an update of the package that brings another one, the demo begins a new catalog.
    catalog = Catalog(folder / f"{name}-{load_encoder('builtin').fingerprint[:6]}", encoder="builtin")
    tell(f"indexing {location}")
    return Demo(catalog, catalog.index(read_source(location)), photos)


def _draw_garments(folder: Path) -> None:
    from focusedfashion.sources.samples import write_samples

    part = _begin(folder)
    write_samples(part, settings.DEMO_ITEMS)
    part.rename(folder)


def _draw_photos(folder: Path) -> None:
    """Six garments of the catalog as a person would photograph them, JPEG."""
    from PIL import Image

    from focusedfashion.sources.samples import draw_garment, list_garments

    part = _begin(folder)
    drawn: set[str] = set()
    for number, garment in enumerate(list_garments(settings.DEMO_ITEMS)):
        if garment.category in drawn or garment.category not in settings.DEMO_PHOTOS:
            continue
        path = part / f"{garment.color}-{garment.pattern}-{garment.category}.jpg".replace(" ", "-")
        pixels = draw_garment(garment, scene="photo", seed=number, size=(600, 800))
        Image.fromarray(pixels).save(path, quality=90)
        drawn.add(garment.category)
    part.rename(folder)


def _begin(folder: Path) -> Path:
    """An empty folder beside `folder`, to be renamed to it when it is whole; what a stopped demo left goes."""
    if folder.exists():
        raise SourceError(f"{folder} is there already and not the demo's: name another folder with -o")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part
