"""The OpenAPI document against the server: whatever it allows is answered as it says, and nothing ends in a 500."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from conftest import draw_items
from focusedfashion.catalog import Catalog
from focusedfashion.encoders import Encoder
from focusedfashion.server.app import make_app

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


OPERATIONS = [
    (method, path)
    for path, operations in make_app(Catalog("nowhere")).openapi()["paths"].items()
    for method in operations
]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, text_encoder: Encoder) -> schemathesis.BaseSchema:
    catalog = Catalog(tmp_path_factory.mktemp("fuzz") / "shop", text_encoder)  # words are taken too
    catalog.index(draw_items(8))
    return schemathesis.openapi.from_asgi("/openapi.json", make_app(catalog))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_whatever_comes_is_answered_as_the_document_says(
    document: schemathesis.BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    @given(document[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        pytest.skip("nothing of this can be said wrongly")
