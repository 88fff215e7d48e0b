"""A repository of networks: its files by name, brought here when they are asked for; or a local folder like one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focusedfashion.errors import EncoderError, MissingExtra

# Of a local folder, what can decide its embeddings.
_DECIDING = (".json", ".safetensors", ".onnx", ".onnx_data", ".bin", ".model", ".txt")


@dataclass(frozen=True, slots=True)
class Repo:
    """`files` are relative, with slashes; `commit` stands for the content of all; `name` is how errors call it."""

    name: str
    commit: str
    files: frozenset[str]
    license: str
    _fetch: Callable[[Collection[str]], Path]

    def fetch(self, files: Collection[str]) -> Path:
        """The folder in which these files lie, once they are all here. Raises EncoderError."""
        return self._fetch(files)

    def read_json(self, file: str) -> dict[str, Any]:
        """A configuration; an empty one where there is no such file. Raises EncoderError."""
        if file not in self.files:
            return {}
        try:
            found = json.loads((self.fetch([file]) / file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EncoderError(f"{self.name}: its {file} cannot be read ({error})") from None
        if not isinstance(found, dict):
            raise EncoderError(f"{self.name}: its {file} is no configuration")
        return found


def open_folder(folder: Path, name: str) -> Repo:
    """A local folder in the layout of a hub's repository; its commit is a hash of its content. Raises EncoderError."""
    digest = hashlib.sha256()
    files = set()
    try:
        for path in sorted([*folder.glob("*"), *folder.glob("onnx/*")]):
            if path.is_file() and path.suffix in _DECIDING:
                file = path.relative_to(folder).as_posix()
                files.add(file)
                with path.open("rb") as data:
                    digest.update(f"{file}\0{hashlib.file_digest(data, 'sha256').hexdigest()}\0".encode())
    except OSError as error:
        raise EncoderError(f"{name} cannot be read ({error.strerror or error})") from None
    return Repo(name, digest.hexdigest()[:16], frozenset(files), "", lambda _: folder)


def open_repo(repository: str, revision: str, name: str) -> Repo:
    """A repository of the Hugging Face hub; of it comes only what is asked for, into the hub's own cache.

    Without a connection (or with HF_HUB_OFFLINE=1) it is what that cache has. Raises EncoderError, MissingExtra.
    """
    try:
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
    except ImportError:
        raise MissingExtra(f"the encoder {name}", "hub") from None

    def fetch(files: Collection[str], commit: str) -> Path:
        try:
            return Path(snapshot_download(repository, revision=commit, allow_patterns=sorted(files)))
        except Exception as error:
            raise _explain(error, name) from None

    try:
        info = HfApi().model_info(repository, revision=revision)
    except (RepositoryNotFoundError, RevisionNotFoundError, HfHubHTTPError) as error:
        raise _explain(error, name) from None
    except Exception as error:  # no connection: of several libraries, by the hub's version
        try:
            # Of what is there already nobody knows whether it is all; every layout has this one.
            local = snapshot_download(
                repository, revision=revision, allow_patterns=["config.json"], local_files_only=True
            )
        except Exception:
            raise _explain(error, name) from None
        folder = Path(local)
        files = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return Repo(name, folder.name, files, "", lambda _: folder)
    commit = str(info.sha)
    described = getattr(info.card_data, "license", None)
    return Repo(
        name,
        commit,
        frozenset(entry.rfilename for entry in info.siblings or ()),
        described if isinstance(described, str) else "",
        lambda files: fetch(files, commit),
    )


def _explain(error: Exception, name: str) -> EncoderError:
    """What went wrong with the hub, and what to do, in one line."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub, (_, _, place) = constants.ENDPOINT, name.partition(":")
    if isinstance(error, GatedRepoError):
        return EncoderError(f"{name} is gated: agree to its terms at {hub}/{place}, then log in (hf auth login)")
    if isinstance(error, RepositoryNotFoundError):
        return EncoderError(
            f"{hub} has no repository for {name}, or it is private: check the name, or log in (hf auth login); "
            f"a local folder is written {name.partition(':')[0]}:./{place}"
        )
    if isinstance(error, RevisionNotFoundError):
        return EncoderError(f"{name}: its repository at {hub} has no such revision")
    if isinstance(error, OfflineModeIsEnabled):
        return EncoderError(f"{name} was not converted yet and HF_HUB_OFFLINE is set: unset it once, or give a folder")
    if isinstance(error, HfHubHTTPError):
        status = getattr(error.response, "status_code", "no status")
        if status in (401, 403):
            return EncoderError(f"{name}: {hub} refuses it (status {status}): log in (hf auth login)")
        return EncoderError(f"{name}: {hub} answers with status {status}; try again later")
    return EncoderError(
        f"{name} cannot be fetched from {hub} ({str(error) or type(error).__name__}): "
        "check the connection, or give a folder that holds its files"
    )
