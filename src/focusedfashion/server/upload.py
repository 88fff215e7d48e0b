"""The body of an upload -> its picture and its text fields, in memory and within limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from focusedfashion import settings


async def read_upload(request: Request) -> tuple[bytes, dict[str, str]]:
    """A multipart request -> the bytes of its file `image`, and its text fields.

    Raises HTTPException 400 for a body that cannot be read, 408 for one that takes too long, 413 for one that is too
    large, and RequestValidationError (422) for one without the file.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _lacks_image()
    parser = MultiPartParser(
        request.headers,
        _limit_body(request),
        max_files=1,
        max_fields=settings.MAX_FIELDS,
        max_part_size=settings.MAX_FIELD_BYTES,
    )
    # Starlette would move a file past 1 MB to the disk; a query picture stays in memory, which the body's limit bounds.
    parser.spool_max_size = settings.MAX_BODY_BYTES + 1
    try:
        async with asyncio.timeout(settings.MAX_UPLOAD_SECONDS):
            form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the upload cannot be read: {error.message.rstrip('.')}") from None
    except TimeoutError:
        raise HTTPException(408, f"the upload took more than {settings.MAX_UPLOAD_SECONDS} seconds") from None
    except ClientDisconnect:
        raise HTTPException(400, "the upload was cut off") from None
    try:
        image = form.get("image")
        if not isinstance(image, UploadFile):
            raise _lacks_image()
        return await image.read(), {name: value for name, value in form.items() if isinstance(value, str)}
    finally:
        await form.close()


async def _limit_body(request: Request) -> AsyncGenerator[bytes, None]:
    # Counted as it comes: a Content-Length can be missing, or a lie.
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > settings.MAX_BODY_BYTES:
            limit = settings.MAX_BODY_BYTES // 2**20
            raise HTTPException(413, f"the upload is larger than {limit} MB; send the picture smaller")
        yield chunk


def _lacks_image() -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", "image"), "msg": "send the picture as this multipart file"}])
