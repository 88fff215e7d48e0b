"""The routes that change a catalog: items put and taken out, one or many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from focusedfashion import settings
from focusedfashion.catalog import Catalog
from focusedfashion.errors import ItemNotFound
from focusedfashion.items import Item
from focusedfashion.rows import clean_text
from focusedfashion.server.answers import answer
from focusedfashion.server.context import Context
from focusedfashion.server.examples import ITEM
from focusedfashion.server.models import BatchAnswer, BatchEntry, ItemAnswer, ItemBody
from focusedfashion.server.problems import describe_answers
from focusedfashion.server.searching import ItemId, check
from focusedfashion.server.upload import check_kind, parse_json, read_base64, read_body

P = ParamSpec("P")
T = TypeVar("T")

_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")


class Turns:
    """One change after the other, in a thread of its own, so that searches never wait for a writer."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result. Raises HTTPException 503 where it has to wait too long, or too many wait."""
        if self._waiting >= settings.MAX_CHANGES:
            raise _busy()

        async def work() -> T:
            async with self._lock:
                return await run_in_threadpool(function, *args, **kwargs)

        def end(task: asyncio.Task[T]) -> None:
            self._waiting -= 1
            if not task.cancelled():
                task.exception()  # looked at, so that nobody complains where its request is gone

        self._waiting += 1
        task = asyncio.create_task(work())
        task.add_done_callback(end)
        try:
            # A change is never broken off: another process that holds the catalog may let go of it in a moment.
            return await asyncio.wait_for(asyncio.shield(task), settings.CHANGE_SECONDS)
        except TimeoutError:
            raise _busy() from None


def make_change_routes(context: Context) -> APIRouter:
    """PUT and DELETE an item; POST many."""
    api = APIRouter(prefix="/v1")
    catalog, turns = context.catalog, Turns()

    @api.put(
        "/items/{item_id:path}",
        summary="Stores an item, whole: as it was or was not before",
        openapi_extra=_describe_body({"application/json": {"schema": {"$ref": "#/components/schemas/ItemBody"}}}),
        responses=describe_answers(
            {
                status: {"model": ItemAnswer, "description": words, "content": {"application/json": {"example": ITEM}}}
                for status, words in ((200, "It was there."), (201, "It is new."))
            },
            *(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
        ),
    )
    async def put(request: Request, item_id: ItemId) -> Response:
        check_kind(request, ("application/json",))
        async with context.gate.hold() as count:
            said = parse_json(await read_body(request, count), "")
            item = make_item(item_id, check(ItemBody, said))
            known = await turns.run(_put, catalog, item)
        stored = await context.gate.work(catalog.item, item.item_id)
        return answer(stored.to_dict(), 200 if known else 201)

    @api.delete(
        "/items/{item_id:path}",
        summary="Takes an item out",
        status_code=204,
        responses=describe_answers({}, 401, 403, 404, 422, 429, 503),
    )
    async def delete(item_id: ItemId) -> Response:
        if not await turns.run(catalog.remove, [item_id]):
            raise ItemNotFound(f"no item {item_id!r} in this catalog")
        return Response(status_code=204)

    lines = {"schema": {"type": "string", "description": "JSON Lines: one entry a line."}}
    entries = {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/BatchEntry"}}}

    @api.post(
        "/items:batch",
        summary="Stores and takes out many items; an answer for each",
        openapi_extra=_describe_body({"application/json": entries, "application/x-ndjson": lines}),
        responses=describe_answers({200: {"model": BatchAnswer}}, 400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
    )
    async def batch(request: Request) -> Response:
        kind = check_kind(request, ("application/json", *_LINES))
        async with context.gate.hold() as count:
            body = await read_body(request, count)
            documents = _split_lines(body) if kind in _LINES else parse_json(body, "")
            if not isinstance(documents, list):
                raise HTTPException(422, "send a JSON list of entries, or JSON Lines as application/x-ndjson")
            return answer(await turns.run(_change, catalog, documents))

    return api


def make_item(item_id: str, body: ItemBody) -> Item:
    """A body -> the item, with its picture's bytes if it brings any. Raises RequestValidationError."""
    return Item(
        item_id=clean_text(item_id),
        product_id=body.product_id or "",
        title=body.title,
        brand=body.brand,
        url=body.url,
        price=body.price,
        currency=body.currency,
        columns=body.columns,
        picture=read_base64(body.image_base64),
    )


def _put(catalog: Catalog, item: Item) -> bool:
    """Stores the item -> whether it was there before. Raises HTTPException 400 where it cannot be used."""
    report = catalog.index([item], keep_pictures=True)
    if report.failed:
        raise HTTPException(400, _list_reasons(catalog)[item.item_id])
    return not report.added


def _change(catalog: Catalog, documents: list[Any]) -> dict[str, Any]:
    """Stores and removes what the entries say; each has a line of its own in the answer."""
    results: list[dict[str, Any]] = []
    items: dict[str, Item] = {}
    removed: dict[str, bool] = {}
    for place, document in enumerate(documents):
        result: dict[str, Any] = {"item_id": f"entry {place + 1}", "ok": False, "detail": None}
        results.append(result)
        try:
            entry = BatchEntry.model_validate(document)
            result["item_id"] = item_id = clean_text(entry.item_id)
            if item_id in items or item_id in removed:
                result["detail"] = "a double id: its first entry counts"
            elif entry.delete:
                removed[item_id], result["ok"] = True, True
            else:
                items[item_id], result["ok"] = make_item(item_id, entry), True
        except (ValidationError, RequestValidationError) as error:
            result["detail"] = _explain(error)
    counts = dict.fromkeys(("added", "updated", "unchanged", "failed"), 0)
    if items:
        report = catalog.index(items.values(), keep_pictures=True)
        counts = {name: getattr(report, name) for name in counts}
    gone = catalog.remove(list(removed)) if removed else 0
    if counts["failed"]:
        reasons = _list_reasons(catalog)
        for result in results:
            if result["ok"] and result["item_id"] in reasons and result["item_id"] in items:
                result |= {"ok": False, "detail": reasons[result["item_id"]]}
    return counts | {"failed": sum(not result["ok"] for result in results), "removed": gone, "results": results}


def _list_reasons(catalog: Catalog) -> Mapping[str, str]:
    return {failure.item_id: failure.reason for failure in catalog.failures()}


def _split_lines(body: bytes) -> list[Any]:
    documents: list[Any] = []
    for line in body.split(b"\n"):
        if line.strip():
            try:
                documents.append(parse_json(line, ""))
            except RequestValidationError:
                documents.append(None)
    return documents


def _explain(error: ValidationError | RequestValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def _describe_body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _busy() -> HTTPException:
    return HTTPException(503, "the catalog is being written by others: send it again in a while", {"Retry-After": "10"})
