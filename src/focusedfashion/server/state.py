"""The routes around the catalog: what visitors did, and how the server is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from focusedfashion.errors import FashionError
from focusedfashion.server.answers import answer
from focusedfashion.server.context import Context
from focusedfashion.server.feedback import Feedback
from focusedfashion.server.figures import Figures
from focusedfashion.server.models import FeedbackBody
from focusedfashion.server.problems import describe_answers
from focusedfashion.server.searching import check
from focusedfashion.server.upload import check_kind, parse_json, read_body


def make_feedback_routes(context: Context, feedback: Feedback) -> APIRouter:
    """POST what a visitor did."""
    api = APIRouter(prefix="/v1")

    @api.post(
        "/feedback",
        summary="What a visitor did with a match",
        status_code=202,
        response_class=Response,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FeedbackBody"}}},
            }
        },
        responses=describe_answers({202: {"description": "It will be written in a moment."}}, 408, 413, 415, 422, 503),
    )
    async def post(request: Request) -> Response:
        check_kind(request, ("application/json",))
        async with context.gate.hold() as count:
            body = check(FeedbackBody, parse_json(await read_body(request, count), ""))
        if not feedback.add(body.request_id, body.item_id, body.kind):
            raise HTTPException(503, "too much feedback waits to be written", {"Retry-After": "5"})
        return Response(status_code=202)

    return api


def make_state_routes(context: Context, figures: Figures, reading: Sequence[Any]) -> APIRouter:
    """GET healthz, readyz and metrics, the last for those who may read."""
    api = APIRouter()

    @api.get("/healthz", summary="Is the server up?")
    async def healthz() -> Response:
        return answer({"status": "ok"})

    @api.get(
        "/readyz",
        summary="Can it search: is the catalog there, and its encoder loaded?",
        responses=describe_answers({}, 503),
    )
    async def readyz() -> Response:
        try:
            await run_in_threadpool(lambda: context.catalog.encoder and context.catalog.info())
        except FashionError as error:
            raise HTTPException(503, str(error), {"Retry-After": "5"}) from None
        return answer({"status": "ready"})

    @api.get("/metrics", summary="Figures for Prometheus", dependencies=list(reading), response_class=_Text)
    async def metrics() -> Response:
        return Response(figures.show(), media_type=_Text.media_type)

    return api


class _Text(Response):
    media_type = "text/plain; version=0.0.4; charset=utf-8"
