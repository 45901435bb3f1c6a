"""What the OpenAPI document allows is answered as it says, what it forbids is refused: schemathesis asks."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from litestar import Litestar
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.faces.filled import TOKENS, FakeCore, faces_of, fill, sqlite_url
from tocsin.api.handlers import api_handlers, openapi_config
from tocsin.faces.application import application

UNSAYABLE: list[Any] = [positive_data_acceptance, negative_data_rejection]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    """The application over the filled world, whose core says yes to everything."""
    database = sqlite_url(tmp_path_factory.mktemp("document"))
    filler = fill(database)
    # What the core says it made must be there to be read.
    filler.silence("a=b", name="1")
    filler.user("1", "viewer")
    filler.override()
    faces = faces_of(database, FakeCore())
    return application(api_handlers(), faces, openapi=openapi_config("0.0.0"))


def test_every_answer_is_one_the_document_promises(app: Litestar) -> None:
    """No fault, no undocumented status, no other shape or type."""
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    # The stream of changes never ends by itself.
    operations = list(schema.exclude(path="/api/v1/events").get_all_operations())
    assert len(operations) > 35
    for operation in operations:
        assert isinstance(operation, Ok)
        _try(operation.ok())


def _try(operation: Any) -> None:
    for mode in GenerationMode:

        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def each(case: Case) -> None:
            # Some rules no schema can say (a matcher's own syntax, either `ends_at` or `duration`), and some violations
            # are gone once written as a URL or a header (an empty list, the token we always send).
            case.call_and_validate(headers={"Authorization": f"Bearer {TOKENS['admin']}"}, excluded_checks=UNSAYABLE)

        each()
