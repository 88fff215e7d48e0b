"""What requests say and answers hold, for checking the first and describing both."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from focusedfashion import settings
from focusedfashion.filters import OPERATORS

_CONDITION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "column": {"type": "string", "description": "A column, or attributes.<group>."},
        "op": {"type": "string", "enum": list(OPERATORS), "default": "="},
        "value": {"description": "Of the column's type; a list for `in`, none for `missing` and `present`."},
    },
    "required": ["column"],
    "additionalProperties": False,
}
_FILTERS: dict[str, Any] = {
    "items": {
        "anyOf": [
            _CONDITION,
            {
                "type": "object",
                "properties": {"any": {"type": "array", "items": _CONDITION, "minItems": 1}},
                "required": ["any"],
                "additionalProperties": False,
            },
        ]
    },
    "maxItems": settings.MAX_CONDITIONS,
    "examples": [[{"column": "price", "op": "<=", "value": 50}]],
}
_FRACTION: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}

Filters = list[dict[str, Any]]


class SearchQuery(BaseModel):
    """What a search can be told besides its picture."""

    model_config = ConfigDict(extra="forbid")  # a misspelled filter must not pass for none

    image_id: str | None = Field(None, description="A picture that POST /v1/images has taken, in place of a picture.")
    item_id: str | None = Field(None, description="An item of the catalog, in place of a picture.")
    text: str | None = Field(
        None,
        description="Words, in place of a picture; 400 where the encoder has no text side.",
        json_schema_extra={
            "anyOf": [{"type": "string", "minLength": 1, "maxLength": settings.MAX_TEXT}, {"type": "null"}],
            "examples": ["navy checked shirt"],
        },
    )
    k: int = Field(
        settings.DEFAULT_K,
        description="How many products to give at most.",
        json_schema_extra={"minimum": 1, "maximum": settings.MAX_K},
    )
    filters: Filters = Field([], description="Conditions that must all hold.", json_schema_extra=_FILTERS)
    focus: dict[str, float] = Field(
        {},
        description="Weights of blocks; others keep theirs, 0 switches one off.",
        json_schema_extra={"examples": [{"color": 2}]},
    )
    box: list[float] | None = Field(
        None,
        description="The part to look at: left, top, right, bottom, fractions 0 to 1 of the upright picture.",
        json_schema_extra={
            "anyOf": [{"type": "array", "items": _FRACTION, "minItems": 4, "maxItems": 4}, {"type": "null"}]
        },
    )
    facets: list[str] = Field(
        [],
        description="Columns to count products by, under the filters.",
        json_schema_extra={"maxItems": settings.MAX_FACETS, "examples": [["brand", "attributes.color"]]},
    )
    cursor: str | None = Field(None, description="Where the page before ended, with the same question.")
    sort: Literal["score", "price", "-price"] = Field(
        "score",
        description=f"By price: of the {settings.PRICE_POOL} k closest products, at most {settings.MAX_PRICE_POOL}.",
    )
    collapse: bool = Field(True, description="One match for each product; false lists each item.")


class SearchBody(SearchQuery):
    """A search as JSON: one of image_base64, image_id, item_id, text."""

    image_base64: str | None = Field(None, description="The picture's file in base64; a data: URL too.")


class ImageBody(BaseModel):
    """A picture as JSON."""

    model_config = ConfigDict(extra="forbid")

    image_base64: str | None = Field(None, description="The picture's file in base64; a data: URL too.")
    image_id: str | None = Field(None, description="A picture that POST /v1/images has taken.")


class ItemBody(BaseModel):
    """An item: the fields that are not named are the shop's own columns."""

    model_config = ConfigDict(extra="forbid")

    image_base64: str | None = Field(None, description="The picture's file; left out, a known item keeps its own.")
    product_id: str | None = Field(None, description="The product that it is a variant of; else the item itself.")
    title: str | None = None
    brand: str | None = None
    url: str | None = Field(None, description="Where it is sold; never fetched.")
    price: float | None = None
    currency: str | None = None
    columns: dict[str, Any] = Field({}, description="The shop's own columns, to filter by.")


class BatchEntry(ItemBody):
    """One entry of a batch."""

    item_id: str = Field(min_length=1)
    delete: bool = Field(False, description="Takes the item out; then nothing else is needed.")


class FeedbackBody(BaseModel):
    """What a visitor did with a match."""

    model_config = ConfigDict(extra="forbid")

    request_id: str = Field(min_length=1, max_length=64, description="Of the search's answer.")
    item_id: str = Field(min_length=1, max_length=settings.MAX_REFERENCE)
    kind: Literal["click", "like", "dislike"]


class LabelAnswer(BaseModel):
    label: str
    score: float = Field(description="A probability, 0 to 1.")


class ItemAnswer(BaseModel):
    item_id: str
    product_id: str
    title: str | None
    image: str
    brand: str | None
    url: str | None
    price: float | None
    currency: str | None
    attributes: dict[str, list[LabelAnswer]]
    columns: dict[str, Any]
    box: list[float] | None


class SharedAnswer(BaseModel):
    group: str
    label: str


class DifferentAnswer(BaseModel):
    group: str
    query: str
    item: str


class ColorsAnswer(BaseModel):
    query: str = Field(description="#rrggbb")
    item: str = Field(description="#rrggbb")
    distance: float = Field(description="CIEDE2000: about 2 is the least that people see.")


class WhyAnswer(BaseModel):
    shared: list[SharedAnswer]
    different: list[DifferentAnswer]
    colors: ColorsAnswer | None


class MatchAnswer(BaseModel):
    rank: int
    score: float
    words: Literal["very close", "close", "similar", "less similar"] | None = Field(
        description="The score in words; null for a text, whose scores are lower than a picture's."
    )
    blocks: dict[str, float]
    item: ItemAnswer
    thumbnail: str
    variants: int = Field(description="Items of this product in the catalog, this one counted.")
    why: WhyAnswer


class FacetValue(BaseModel):
    value: Any
    count: int


class FacetAnswer(BaseModel):
    """`values` and how many `distinct` there are, or `min` and `max` of numbers and times."""

    values: list[FacetValue] | None = None
    distinct: int | None = None
    min: Any = None
    max: Any = None


class QueryAnswer(BaseModel):
    image_id: str | None
    item_id: str | None
    text: str | None
    width: int | None = Field(description="Of the whole upright picture, in pixels; null for an item and a text.")
    height: int | None
    attributes: dict[str, list[LabelAnswer]] = Field(description="Empty for a text.")
    colors: list[str] = Field(description="The garment's color, #rrggbb; none for an item and a text.")


class SearchAnswer(BaseModel):
    request_id: str
    query: QueryAnswer
    matches: list[MatchAnswer]
    facets: dict[str, FacetAnswer]
    cursor: str | None = Field(description="For the next page, null after the last.")


class ImageAnswer(BaseModel):
    image_id: str
    width: int
    height: int
    expires_in: int = Field(description="Seconds.")
    attributes: dict[str, list[LabelAnswer]]


class TagsAnswer(BaseModel):
    width: int
    height: int
    attributes: dict[str, list[LabelAnswer]]


class ColumnAnswer(BaseModel):
    name: str
    type: Literal["text", "number", "whole number", "true or false", "time", "date", "list"]


class CatalogAnswer(BaseModel):
    items: int
    products: int
    failed: int
    encoder: str
    fingerprint: str
    indexed: str
    bytes: int
    blocks: dict[str, float] = Field(description="The parts of the embedding and their usual weights.")
    text: bool = Field(description="Whether words can be searched for.")
    labels: dict[str, list[str]] = Field(description="What the encoder can say, by group.")
    columns: list[ColumnAnswer]


class FacetsAnswer(BaseModel):
    facets: dict[str, FacetAnswer]


class FailureAnswer(BaseModel):
    item_id: str
    step: str
    reason: str
    tries: int


class FailuresAnswer(BaseModel):
    failures: list[FailureAnswer]
    total: int


class ChangeAnswer(BaseModel):
    item_id: str
    ok: bool
    detail: str | None = Field(description="Why not, in one line.")


class BatchAnswer(BaseModel):
    added: int
    updated: int
    unchanged: int
    removed: int
    failed: int
    results: list[ChangeAnswer]
