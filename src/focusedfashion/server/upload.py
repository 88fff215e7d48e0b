"""The body of a request -> its picture and what it says, in memory and within limits."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Callable
from itertools import chain
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from focusedfashion import settings

Count = Callable[[int], None]  # is told the size of each piece of a body, and may refuse it


async def read_query(request: Request, count: Count) -> tuple[bytes | None, dict[str, Any]]:
    """A request -> (its picture, where it has one; what it says besides).

    Multipart: the file `image`, the field `query` (a JSON object), and whatever other field, each taken as a part of
    that object. JSON: an object, whose `image_base64` is the picture. Raises HTTPException 400 for a body that cannot
    be read, 408 for one that takes too long, 413 for one that is too large, 415 for another kind of body, and
    RequestValidationError (422) for a field of the wrong kind.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        image, fields = await _read_form(request, count)
        said = {name: _parse_field(name, text) for name, text in fields.items() if text and name != "query"}
        if fields.get("query"):
            said |= _check_object(parse_json(fields["query"], "query"), "query")
        return image, said
    if kind != "application/json":
        raise HTTPException(415, "send the picture as multipart/form-data, or a question as application/json")
    said = _check_object(parse_json(await read_body(request, count), ""), "")
    return read_base64(said.pop("image_base64", None)), said


async def read_body(request: Request, count: Count) -> bytes:
    """The whole body, within limits. Raises as `read_query`."""
    body: bytes = await _within_time(_join(request, count))
    return body


def read_base64(text: Any) -> bytes | None:
    """The picture in a JSON document, None where there is none. Raises RequestValidationError (422)."""
    if text is None:
        return None
    if isinstance(text, str):
        try:
            # A browser's canvas gives a data URL.
            return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise _invalid("image_base64", "is no base64")


def parse_json(text: str | bytes, name: str) -> Any:
    """A JSON document, no deeper than settings.MAX_JSON_DEPTH. Raises RequestValidationError (422)."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid(name, "is no JSON document" if name else "the body is no JSON document") from None
    level, depth = [document], 0
    while level:
        if depth > settings.MAX_JSON_DEPTH:
            raise _invalid(name, f"the JSON is nested deeper than {settings.MAX_JSON_DEPTH} levels")
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level, depth = list(chain.from_iterable(inner)), depth + 1
    return document


def check_kind(request: Request, kinds: tuple[str, ...]) -> str:
    """The kind of the body, which must be one of these. Raises HTTPException 415."""
    # A page of another site may send a form or plain text here without asking, but no JSON.
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in kinds:
        raise HTTPException(415, f"send the body as {' or '.join(kinds)}")
    return kind


async def _join(request: Request, count: Count) -> bytes:
    return b"".join([chunk async for chunk in _limit_body(request, count)])


async def _within_time(reading: Any) -> Any:
    try:
        async with asyncio.timeout(settings.MAX_UPLOAD_SECONDS):
            return await reading
    except TimeoutError:
        raise HTTPException(408, f"the upload took more than {settings.MAX_UPLOAD_SECONDS} seconds") from None
    except ClientDisconnect:
        raise HTTPException(400, "the upload was cut off") from None


async def _read_form(request: Request, count: Count) -> tuple[bytes | None, dict[str, str]]:
    parser = MultiPartParser(
        request.headers,
        _limit_body(request, count),
        max_files=1,
        max_fields=settings.MAX_FIELDS,
        max_part_size=settings.MAX_FIELD_BYTES,
    )
    # Starlette would move a file past 1 MB to the disk; a query picture stays in memory, which the body's limit bounds.
    parser.spool_max_size = settings.MAX_BODY_BYTES + 1
    try:
        form = await _within_time(parser.parse())
    except MultiPartException as error:
        raise HTTPException(400, f"the upload cannot be read: {error.message.rstrip('.')}") from None
    try:
        image = form.get("image")
        if image is not None and not isinstance(image, UploadFile):
            raise _invalid("image", "send the picture as a file; nothing that a client names is fetched")
        data = await image.read() if isinstance(image, UploadFile) else None
        return data, {name: value for name, value in form.items() if isinstance(value, str)}
    finally:
        await form.close()


async def _limit_body(request: Request, count: Count) -> AsyncGenerator[bytes, None]:
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said[:20]) > settings.MAX_BODY_BYTES:
        raise _too_large()
    # Counted as it comes too: a Content-Length can be missing, or a lie.
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > settings.MAX_BODY_BYTES:
            raise _too_large()
        count(len(chunk))
        yield chunk


def _parse_field(name: str, text: str) -> Any:
    """`k=5`, `focus={"color": 2}` as JSON; what is none is text, as an id."""
    if name in ("image_id", "item_id", "cursor", "text", "sort"):
        return text
    return parse_json(text, name)


def _check_object(document: Any, name: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise _invalid(name, "must be a JSON object")
    return document


def _too_large() -> HTTPException:
    limit = settings.MAX_BODY_BYTES // 2**20
    return HTTPException(413, f"the upload is larger than {limit} MB; send the picture smaller")


def _invalid(name: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", name) if name else ("body",), "msg": message}])
