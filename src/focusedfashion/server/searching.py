"""The routes that look: a search by picture, item or text, held pictures, tags, more like an item."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathField
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from focusedfashion import settings
from focusedfashion.colors import write_hex
from focusedfashion.errors import QueryError
from focusedfashion.explain import Look, word_score
from focusedfashion.focus import parse_focus
from focusedfashion.items import Item, Matches, labels_to_dict
from focusedfashion.server.answers import answer, show_match
from focusedfashion.server.context import Context
from focusedfashion.server.examples import IMAGE, MATCHES, TAGS
from focusedfashion.server.models import ImageAnswer, ImageBody, SearchAnswer, SearchQuery, TagsAnswer
from focusedfashion.server.problems import describe_answers, get_request_id
from focusedfashion.server.upload import parse_json, read_query

ItemId = Annotated[str, PathField(description="The item's id, percent-encoded: slashes as %2F.", min_length=1)]

Model = TypeVar("Model", bound=BaseModel)

_PICTURE = {"type": "string", "format": "binary", "description": "The picture's file."}


def make_search_routes(context: Context) -> APIRouter:
    """POST search, images and tags; GET an item's similar ones."""
    api = APIRouter(prefix="/v1")

    @api.post(
        "/search",
        summary="The closest products to a picture, an item or a text",
        openapi_extra={
            "requestBody": _describe_body(
                {
                    "image": _PICTURE,
                    "query": {"$ref": "#/components/schemas/SearchQuery"},
                },
                "SearchBody",
            )
        },
        responses=describe_answers({200: _describe(SearchAnswer, MATCHES)}, 400, 404, 408, 413, 415, 422, 503),
    )
    async def search(request: Request) -> Response:
        async with context.gate.hold() as count:
            image, said = await read_query(request, count)
            query = check(SearchQuery, said)
            document = await context.gate.work(_search, context, query, image, get_request_id(request))
        return answer(document)

    @api.post(
        "/images",
        summary="Keeps a picture in memory for ten minutes, for searches that need not send it again",
        openapi_extra={"requestBody": _describe_body({"image": _PICTURE}, "ImageBody")},
        responses=describe_answers({200: _describe(ImageAnswer, IMAGE)}, 400, 408, 413, 415, 422, 503),
    )
    async def images(request: Request) -> Response:
        async with context.gate.hold() as count:
            image, said = await read_query(request, count)
            if check(ImageBody, said).image_id is not None or image is None:
                raise _lacks("image", "send the picture as the file `image`, or as `image_base64`")
            image_id, look = await context.gate.work(context.held.add, image)
        return answer({"image_id": image_id, "expires_in": settings.HELD_SECONDS} | _show_look(look))

    @api.post(
        "/tags",
        summary="What is on a picture",
        openapi_extra={"requestBody": _describe_body({"image": _PICTURE}, "ImageBody")},
        responses=describe_answers({200: _describe(TagsAnswer, TAGS)}, 400, 404, 408, 413, 415, 422, 503),
    )
    async def tags(request: Request) -> Response:
        async with context.gate.hold() as count:
            image, said = await read_query(request, count)
            image_id = check(ImageBody, said).image_id
            if (image is None) == (image_id is None):
                raise _lacks("image", "send one of: the file `image`, `image_base64`, `image_id`")
            if image_id is not None:
                look = await context.gate.work(context.held.look, image_id)
            else:
                assert image is not None
                look = await context.gate.work(context.catalog.look, image)
        return answer(_show_look(look))

    # An item's id may hold slashes: this comes before `/items/{item_id}`, which would take its end for a part of one.
    @api.get(
        "/items/{item_id:path}/similar",
        summary="The closest products to an item, never the item itself",
        responses=describe_answers({200: _describe(SearchAnswer, MATCHES)}, 400, 404, 422, 503),
    )
    async def similar(
        request: Request,
        item_id: ItemId,
        k: Annotated[int, Query(description="How many products to give at most.")] = settings.DEFAULT_K,
        focus: Annotated[str, Query(description="Weights of blocks: `color=2,shape=1`.")] = "",
        filters: Annotated[str, Query(description="Conditions that must all hold, a JSON list.")] = "",
        facets: Annotated[str, Query(description="Columns to count by, with commas between.")] = "",
        cursor: Annotated[str | None, Query(description="Where the page before ended.")] = None,
        sort: Annotated[str, Query(description="score, price or -price.")] = "score",
        collapse: Annotated[bool, Query(description="One match for each product.")] = True,
    ) -> Response:
        said = {
            "item_id": item_id,
            "k": k,
            "focus": parse_focus(focus) if focus else {},
            "filters": parse_json(filters, "filters") if filters else [],
            "facets": split_names(facets),
            "cursor": cursor or None,
            "sort": sort,
            "collapse": collapse,
        }
        query = check(SearchQuery, said)
        return answer(await context.gate.work(_search, context, query, None, get_request_id(request)))

    return api


def split_names(text: str) -> list[str]:
    """`brand,price` -> its names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _search(context: Context, query: SearchQuery, image: bytes | None, request_id: str) -> dict[str, Any]:
    catalog = context.catalog
    ways = {"a picture": image, "image_id": query.image_id, "item_id": query.item_id, "text": query.text}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        named = " and ".join(given) or "nothing"
        raise QueryError(f"search by one of image, image_base64, image_id, item_id and text, not by {named}")
    if query.box is not None and given[0] in ("item_id", "text"):
        raise QueryError("a box is a part of a picture that is sent, not of an item's or of a text")
    if query.text is not None and not catalog.encoder.has_text:
        raise QueryError("this catalog's encoder has no text side: search by a picture or an item")
    digest = _digest(query, image)
    start = _read_cursor(query.cursor, digest)
    found: Look | Item | str
    options: dict[str, Any] = {"start": start, "sort": query.sort, "collapse": query.collapse, "thumbnails": True}
    if query.item_id is not None:
        found = catalog.item(query.item_id)
        matches = catalog.similar(query.item_id, query.k, query.filters, query.focus, **options)
    elif query.text is not None:
        found, matches = query.text, catalog.search_text(query.text, query.k, query.filters, query.focus, **options)
    else:
        look = (
            catalog.look(image, query.box) if image is not None else context.held.look(query.image_id or "", query.box)
        )
        found, matches = look, catalog.search(look, query.k, query.filters, query.focus, **options)
    facets = catalog.facets(query.facets, query.filters) if query.facets else {}
    return {
        "request_id": request_id,
        "query": _show_query(found, query),
        "matches": _show_matches(context, found, matches),
        "facets": {column: facet.to_dict() for column, facet in facets.items()},
        "cursor": _write_cursor(start + len(matches), digest) if _has_more(matches, start, query.k) else None,
    }


def _has_more(matches: Matches, start: int, k: int) -> bool:
    return matches.more and start + len(matches) + k <= settings.MAX_K


def _show_matches(context: Context, query: Look | Item | str, matches: Matches) -> list[dict[str, Any]]:
    whys, counts = context.catalog.explain(query, matches), context.catalog.variants(matches)
    return [
        # The words are of cosines between pictures.
        show_match(match)
        | {"words": None if isinstance(query, str) else word_score(match.score)}
        | {"variants": count, "why": why.to_dict()}
        for match, count, why in zip(matches, counts, whys, strict=True)
    ]


def _show_query(found: Look | Item | str, query: SearchQuery) -> dict[str, Any]:
    shown: dict[str, Any] = {"image_id": query.image_id, "item_id": query.item_id, "text": query.text}
    shown |= {"width": None, "height": None, "attributes": {}, "colors": []}
    if not isinstance(found, str):
        shown["attributes"] = labels_to_dict(found.attributes)
    if isinstance(found, Look):
        shown |= {"width": found.width, "height": found.height, "colors": [write_hex(found.color)]}
    return shown


def _show_look(look: Look) -> dict[str, Any]:
    return {"width": look.width, "height": look.height, "attributes": labels_to_dict(look.attributes)}


def _digest(query: SearchQuery, image: bytes | None) -> str:
    """What makes two pages of matches pages of one search: everything but where they begin and how long they are."""
    said = json.dumps(query.model_dump(exclude={"k", "cursor", "facets"}), sort_keys=True, default=str)
    # By price, k decides which products are ordered.
    pool = str(query.k) if query.sort != "score" else ""
    return hashlib.blake2b(said.encode("utf-8", "replace") + pool.encode() + (image or b""), digest_size=8).hexdigest()


def _write_cursor(start: int, digest: str) -> str:
    return base64.urlsafe_b64encode(f"{start}.{digest}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None, digest: str) -> int:
    if cursor is None:
        return 0
    try:
        start, _, of = base64.urlsafe_b64decode(cursor + "==").decode("ascii").partition(".")
        if of == digest and start.isdigit() and len(start) <= 6:
            return int(start)
    except (binascii.Error, ValueError):
        pass
    raise QueryError("this cursor belongs to another search: ask again without it")


def check(model: type[Model], said: Any) -> Model:
    """The document as the model. Raises RequestValidationError (422)."""
    if not isinstance(said, dict):
        raise RequestValidationError([{"loc": ("body",), "msg": "the body must be a JSON object"}])
    try:
        return model.model_validate(said)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def _lacks(name: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", name), "msg": message}])


def _describe(model: type[Any], example: Any) -> dict[str, Any]:
    return {"model": model, "content": {"application/json": {"example": example}}}


def _describe_body(fields: dict[str, Any], model: str) -> dict[str, Any]:
    form = {"type": "object", "required": ["image"], "properties": fields}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if "query" in fields:
        content["multipart/form-data"]["encoding"] = {"query": {"contentType": "application/json"}}
    content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{model}"}}
    return {"required": True, "content": content}
