"""Fixtures every test may ask for, and the rule that a skipped test is never a quiet one."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page

from tests.support.alertmanager import Alertmanager, running_alertmanager
from tests.support.browser import running_browser
from tests.support.catcher import Catcher, running_catcher
from tests.support.certificates import Certificate, make_certificate
from tests.support.mail import MailServer, running_mail_server
from tests.support.postgres import Postgres, running_postgres
from tests.support.prometheus import Prometheus
from tests.support.server import TocsinServer
from tests.support.synapse import Synapse, running_synapse

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")

# Two shared cores make any deadline per example a coin toss. In CI the examples are the same every time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if IN_CI else "here")

# Tracebacks without their variables, as Tocsin itself writes them: to draw a page's takes longer than a client waits.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

TocsinServer.warm_by_default = "TOCSIN_COLD" not in os.environ
"""Servers and commands are forked from a process that has imported Tocsin; `make faults` starts the installed one."""

LONGEST_FIRST = (
    "journeys/test_prometheus", "demo/test_whole_story", "faults/test_database_away", "web/test_browser",
    "faults/test_kill", "demo/test_run", "faults/test_standby", "api/test_document", "store/test_contract",
    "faults/test_points", "faults/test_disk", "simulation/test_simulation", "cli/test_oncall", "journeys/test_twilio",
    "journeys/test_reach", "journeys/test_playbooks", "journeys/test_probes", "demo/test_mail", "support/test_skips",
    "journeys/test_solutions", "differential/test_alertmanager", "web/test_journey", "web/test_oncall",
    "journeys/test_synthetic",
)  # fmt: skip
"""Files begun before all others: what waits for minutes must not be what the other workers wait for at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files keep their order; the long ones go first."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}

    def place(item: pytest.Item) -> int:
        return places.get("/".join(item.path.with_suffix("").parts[-2:]), len(places))

    items.sort(key=place)


# --- Real components -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, one per test worker; `postgres.new_database()` gives a fresh database."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database, the test's own."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Alertmanager]:
    """A real Alertmanager that notifies nobody, one per module; `.url` is its base."""
    with running_alertmanager() as server:
        yield server


@pytest.fixture
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Prometheus]]:
    """Call with a configuration (mapping or YAML) and rules to get a running Prometheus."""
    started: list[Prometheus] = []

    def start(config: dict[str, Any] | str, rules: dict[str, Any] | str | None = None, **how: Any) -> Prometheus:
        started.append(Prometheus(tmp_path_factory.mktemp("prometheus"), config, rules, **how))
        return started[-1]

    yield start
    for server in started:
        server.process.stop()


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """A real Matrix homeserver, one per test worker; `.person(name)` registers somebody."""
    with running_synapse() as server:
        yield server


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """An SMTP server that keeps its mail in `.messages` and misbehaves when told to."""
    with running_mail_server() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A throw-away certificate for 127.0.0.1 and localhost, with the authority to trust."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """An HTTP server that keeps every request and answers as told."""
    with running_catcher() as server:
        yield server


@pytest.fixture
def tls_catcher(certificate: Certificate) -> Iterator[Catcher]:
    """The same behind TLS, with `certificate`."""
    with running_catcher(certificate) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one per module: keep browser tests in modules without coroutine tests."""
    with running_browser() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a browser context of its own, 1280 by 800. `tests.support.browser.axe(page)` judges it."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def tocsin_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., TocsinServer]]:
    """Call to get a running `tocsin up`, ready to hear; see TocsinServer for what it takes.

    `start=False` prepares one without starting it. When a test fails, its report ends with the server's last words.
    """
    made: list[TocsinServer] = []

    def start_server(*, start: bool = True, folder: Path | None = None, **how: Any) -> TocsinServer:
        how.setdefault("warm", None if request.node.get_closest_marker("cold") is None else False)
        server = TocsinServer(folder or tmp_path_factory.mktemp("tocsin"), **how)
        made.append(server)
        return server.start() if start else server

    yield start_server
    for server in made:
        server.close()
        print(f"--- {server.log}", *server.output().splitlines()[-40:], sep="\n")


@pytest.fixture(scope="session")
def kills() -> int:
    """How often a test of the `faults` kind kills Tocsin: 10, or what TOCSIN_KILLS says (`make faults`: 100)."""
    return int(os.environ.get("TOCSIN_KILLS", "10"))


# --- No quiet skips --------------------------------------------------------------------------------------------------


def _skip_is_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be: {_reason(report.longrepr)}"


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) and len(longrepr) == 3 else str(longrepr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a skipped test is a failed one."""
    report = yield
    _skip_is_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself while it is collected."""
    report = yield
    _skip_is_failure(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly at the end what was skipped and why."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"NOT TESTED HERE: {len(skipped)} skipped (with CI=true: failed)", sep="!", yellow=True)
    for report in skipped:
        terminalreporter.line(f"  {report.nodeid}: {_reason(report.longrepr)}", yellow=True)
