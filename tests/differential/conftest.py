"""One real Alertmanager and one real Tocsin with the same routes, running for a whole module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.pair import ALERTMANAGER_CONFIG, PLAN, Example, Pair
from tests.support.alertmanager import running_alertmanager
from tests.support.server import TocsinServer
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both, ready. Tocsin pages nobody."""
    tocsin = TocsinServer(tmp_path_factory.mktemp("tocsin"), plan=PLAN, arguments=["--paging", "off"])
    try:
        tocsin.start()
        eventually(lambda: tocsin.status("/api/openapi.json") == 200, what="the faces to answer", within=20)
        with running_alertmanager(ALERTMANAGER_CONFIG) as alertmanager:
            keys = [tocsin.new_key("alertmanager", service)["url"] for service in ("inbox", "checkout")]
            yield Pair(alertmanager.url, *keys)
    finally:
        tocsin.close()
        print(tocsin.output()[-4_000:])


@pytest.fixture
def example(pair: Pair) -> Iterator[Example]:
    """A clean room in both for one test."""
    made = Example(pair)
    yield made
    made.leave()
