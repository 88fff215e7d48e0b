"""Encoders of hubs, by name: each is converted once into a saved encoder's folder and then loaded as every other.

    hf:ORG/NAME[@REVISION]     a repository of the Hugging Face hub
    timm:NAME                  a network of timm, by the name that timm gives it
    hf:./FOLDER, timm:./FOLDER a folder in the layout of such a repository (or an absolute path)

The converted folders lie in settings.CACHE_VARIABLE's folder, else in the user's cache, by name and commit (a local
folder by its content). A name that was converted once stands for that commit from then on, without a look at the hub:
a catalog needs the same encoder tomorrow.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from focusedfashion import settings
from focusedfashion.encoders.hub_convert import HF, TIMM, convert_encoder
from focusedfashion.encoders.hub_repo import Repo, open_folder, open_repo
from focusedfashion.errors import EncoderError

_MAIN = "main"  # the revision where a name has none
_HOW = "write hf:ORG/NAME, timm:NAME, or behind the colon the path of a folder that begins with ./ or /"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """What a name says: a network `place` of a hub at a `revision`, or a `folder`."""

    hub: str
    place: str
    revision: str
    folder: Path | None

    @property
    def name(self) -> str:
        """The full name, which finds it again."""
        if self.folder is not None:
            return f"{self.hub}:{self.folder}"
        return f"{self.hub}:{self.place}" + (f"@{self.revision}" if self.revision != _MAIN else "")


def find_hub_encoder(name: str) -> tuple[Path, str]:
    """The folder of a hub's encoder, which is converted where it is not yet, and its full name.

    Raises EncoderError; MissingExtra where the conversion needs what is not installed.
    """
    address = read_address(name)
    if address.folder is not None:
        return _find_local(address, address.folder), address.name
    shelf = _find_cache() / address.hub / quote(address.place, safe="")
    found = _look_up(shelf, address.revision)
    if found is None:
        with _turn(shelf):
            found = _look_up(shelf, address.revision) or _convert_hub(address, shelf)
    return found, address.name


def read_address(name: str) -> Address:
    """`hf:org/name@v1` -> Address. Raises EncoderError."""
    hub, _, rest = name.partition(":")
    if rest.startswith((".", "~")) or Path(rest).is_absolute():
        folder = Path(rest).expanduser()
        if not folder.is_dir():
            raise EncoderError(f"{name}: there is no folder {folder}")
        return Address(hub, folder.resolve().name, "", folder.resolve())
    place, at, revision = rest.partition("@")
    word = r"\w[\w.-]*"
    pattern = f"{word}/{word}" if hub == HF else f"({word}/)?{word}"
    if not re.fullmatch(pattern, place, re.ASCII) or (at and not re.fullmatch(r"[\w./-]+", revision, re.ASCII)):
        raise EncoderError(f"{name!r} names no encoder of a hub: {_HOW}")
    return Address(hub, place, revision or _MAIN, None)


def _find_local(address: Address, folder: Path) -> Path:
    repo = open_folder(folder, address.name)
    shelf = _find_cache() / address.hub / f"folder-{quote(address.place, safe='')}"
    target = shelf / repo.commit
    if not _is_whole(target):
        with _turn(shelf):
            if not _is_whole(target):
                _convert(address, repo, target)
    return target


def _convert_hub(address: Address, shelf: Path) -> Path:
    repo = open_repo(_find_repository(address), address.revision, address.name)
    target = shelf / repo.commit
    if not _is_whole(target):
        _convert(address, repo, target)
    note = _name_note(shelf, address.revision)
    part = note.with_name(f"{note.name}.{uuid.uuid4().hex}.part")
    part.write_text(repo.commit, encoding="utf-8")
    part.replace(note)
    return target


def _convert(address: Address, repo: Repo, target: Path) -> None:
    """Converts into a folder that appears when it is whole."""
    logger.info("%s is converted once, into %s", address.name, target)
    for left in target.parent.glob("*.part"):  # of a process that was killed: this one has the turn
        shutil.rmtree(left, ignore_errors=True)
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}.part")
    try:
        part.mkdir()
        convert_encoder(repo, address.hub, part)
        part.rename(target)
    except OSError as error:
        if not _is_whole(target):  # else another process was faster
            raise EncoderError(
                f"{address.name} cannot be kept in {target.parent} ({error.strerror or error}): "
                f"make room there, or name another folder in {settings.CACHE_VARIABLE}"
            ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _find_repository(address: Address) -> str:
    """The hub's repository of a network; timm's own lie in one of that name, if the name has its tag of weights."""
    if address.hub != TIMM or "/" in address.place:
        return address.place
    if "." in address.place:
        return f"timm/{address.place}"
    from focusedfashion.encoders.hub_networks import name_timm_repository

    return name_timm_repository(address.place, address.name)


def _look_up(shelf: Path, revision: str) -> Path | None:
    """The converted folder of this revision, if there is one: no network, nothing but the standard library."""
    try:
        commit = _name_note(shelf, revision).read_text(encoding="utf-8").strip()
    except OSError:
        # A revision may be the commit itself, which another name was converted at.
        commit = revision
    target = shelf / commit
    return target if re.fullmatch(r"[\w-]+", commit) and _is_whole(target) else None


def _is_whole(folder: Path) -> bool:
    return (folder / "encoder.json").is_file()


def _name_note(shelf: Path, revision: str) -> Path:
    return shelf / f"{quote(revision, safe='')}.commit"


def _find_cache() -> Path:
    named = os.environ.get(settings.CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute() / "encoders"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "focusedfashion", "encoders").absolute()


@contextmanager
def _turn(shelf: Path) -> Iterator[None]:
    """One process converts a network at a time; the others wait, and find it converted. Raises EncoderError."""
    import filelock

    lock = filelock.FileLock(shelf / "lock")
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise EncoderError(
            f"{shelf} cannot be written ({error.strerror or error}): "
            f"name a folder for converted encoders in {settings.CACHE_VARIABLE}"
        ) from None
    try:
        yield
    finally:
        lock.release()
