"""The routes of items and of the catalog as a whole: what is there."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from focusedfashion import settings
from focusedfashion.images import name_thumbnail_type
from focusedfashion.server.answers import answer
from focusedfashion.server.context import Context
from focusedfashion.server.examples import CATALOG, ITEM
from focusedfashion.server.models import CatalogAnswer, FacetsAnswer, FailuresAnswer, ItemAnswer
from focusedfashion.server.problems import describe_answers
from focusedfashion.server.searching import ItemId, split_names
from focusedfashion.server.upload import parse_json


def make_item_routes(context: Context) -> APIRouter:
    """GET items, their thumbnails, facets, failures and the catalog."""
    api = APIRouter(prefix="/v1")
    gate, catalog = context.gate, context.catalog

    @api.get(
        "/items/{item_id:path}/thumbnail",
        summary="An item's thumbnail, JPEG",
        response_class=_JPEG,
        responses=describe_answers({304: {"description": "The one that you have."}}, 404, 422, 503),
    )
    async def thumbnail(item_id: ItemId, if_none_match: Annotated[str, Header()] = "") -> Response:
        picture = await gate.work(catalog.thumbnail, item_id)
        tag = f'"{hashlib.sha256(picture).hexdigest()[:16]}"'
        headers = {"ETag": tag, "Cache-Control": f"private, max-age={settings.THUMBNAIL_SECONDS}"}
        if tag in if_none_match or if_none_match.strip() == "*":
            return Response(status_code=304, headers=headers)
        return Response(picture, headers=headers, media_type=name_thumbnail_type(picture))

    @api.get(
        "/items/{item_id:path}",
        summary="One item",
        responses=describe_answers(
            {200: {"model": ItemAnswer, "content": {"application/json": {"example": ITEM}}}}, 404, 422, 503
        ),
    )
    async def item(item_id: ItemId) -> Response:
        return answer((await gate.work(catalog.item, item_id)).to_dict())

    @api.get(
        "/catalog",
        summary="What the catalog holds, and what can be asked of it",
        responses=describe_answers(
            {200: {"model": CatalogAnswer, "content": {"application/json": {"example": CATALOG}}}}, 404, 503
        ),
    )
    async def describe() -> Response:
        return answer(await gate.work(_describe_catalog, context))

    @api.get(
        "/facets",
        summary="How many products have which value of a column",
        responses=describe_answers({200: {"model": FacetsAnswer}}, 400, 404, 422, 503),
    )
    async def facets(
        columns: Annotated[str, Query(description="Columns, with commas between: `brand,price,attributes.color`.")],
        filters: Annotated[str, Query(description="Conditions that must all hold, a JSON list.")] = "",
    ) -> Response:
        conditions = parse_json(filters, "filters") if filters else []
        found = await gate.work(catalog.facets, split_names(columns), conditions)
        return answer({"facets": {column: facet.to_dict() for column, facet in found.items()}})

    @api.get(
        "/failures",
        summary="The ledger: items that did not get in, and why",
        responses=describe_answers({200: {"model": FailuresAnswer}}, 404, 422, 503),
    )
    async def failures(
        limit: Annotated[int, Query(ge=1, le=settings.MAX_FAILURES, description="How many to list at most.")] = 100,
    ) -> Response:
        found = await gate.work(catalog.failures)
        return answer({"failures": [dataclasses.asdict(entry) for entry in found[:limit]], "total": len(found)})

    return api


def _describe_catalog(context: Context) -> dict[str, Any]:
    catalog = context.catalog
    encoder = catalog.encoder
    return dataclasses.asdict(catalog.info()) | {
        "blocks": encoder.weights,
        "text": encoder.has_text,
        "labels": {group: list(entry.labels) for group, entry in encoder.attributes.items()},
        "columns": [{"name": name, "type": kind} for name, kind in catalog.columns().items()],
    }


class _JPEG(Response):
    media_type = "image/jpeg"
