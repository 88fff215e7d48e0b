"""What goes wrong beneath a catalog (a full disk, a bucket that is not there) -> the one line that a person reads."""

from __future__ import annotations

import re

from focusedfashion.errors import CatalogError
from focusedfashion.filters import cut_text, shorten_message

LANCE_ERRORS = (OSError, ValueError, RuntimeError)  # what Lance raises; Arrow's own errors are among these

# What Lance and the object store say, and what a person can do about it.
_ADVICE = (
    (
        r"Failed to get AWS credentials|token request|CredentialsNotLoaded",
        "no credentials for the object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    (r"NoSuchBucket", "there is no such bucket: make it, or correct the name"),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|InvalidToken|ExpiredToken|40[13] (Forbidden|Unauth)",
        "the object store refuses: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they are allowed",
    ),
    (r"Failed to resolve region", "the bucket's region is unknown: set AWS_REGION, or correct the bucket's name"),
    (
        r"builder error",
        "the address of the object store cannot be used: check AWS_ENDPOINT_URL; http:// needs AWS_ALLOW_HTTP=true",
    ),
    (
        r"error sending request|timed out|connection (refused|reset|closed)|dns error",
        "the object store does not answer: check the network and AWS_ENDPOINT_URL",
    ),
    (r"No object store provider", "no kind of object store has such an address: s3://BUCKET/FOLDER is one"),
)
_WRITING = (
    (
        r"No space left|os error 28|Disk quota|os error 122|File too large|os error 27|os error 112",
        "make room and give the command again; what was finished is kept",
    ),
    (r"commit conflict|concurrent transaction", "another process writes too; give the command again when it is done"),
    (r"Permission denied|os error 13|Read-only file system|os error 30", "get the right to write there"),
)


def explain_trouble(path: str, message: str, doing: str) -> CatalogError:
    """Lance's message -> our error. `doing` is what could not be done with the catalog: "opened", "read", "written"."""
    if "://" in path:
        for pattern, advice in _ADVICE:
            if re.search(pattern, message, re.IGNORECASE):
                return CatalogError(f"{path} cannot be {doing}: {advice}")
    problem = re.sub(r"\bLanceError\(\w+\): |<\?xml.*?\?>|</?\w+>", "", shorten_message(message)).strip()
    problem = re.sub(r" \(os error \d+\)$", "", problem)
    for pattern, advice in _WRITING:
        if re.search(pattern, message, re.IGNORECASE) and doing == "written":
            return CatalogError(f"{path} cannot be written ({cut_text(problem)}): {advice}")
    return CatalogError(f"{path} cannot be {doing} ({cut_text(problem)})")


def is_missing(error: Exception) -> bool:
    """Whether Lance says that there is no such table, which is no trouble."""
    return "was not found" in str(error)
