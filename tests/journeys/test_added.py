"""What CONTRIBUTING promises to whoever adds something: one file and one line of a register, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import tocsin
from tests.journeys.telling import a_plan, curl
from tests.support.processes import inherited_environment
from tests.support.server import TocsinServer, tocsin_command
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

SOURCE = '''
"""Shouts: a line of plain text is an alert, and the same line after a minus its end."""

from tocsin.intake.entrance import Entrance
from tocsin.intake.event import Event
from tocsin.intake.request import Heard, Reply, Source


def decode(request, now, limits, known):
    line = request.body.decode(errors="replace").strip()
    if not line:
        return Heard(reply=Reply(400, b"say something", "text/plain"), fault="nothing was said")
    over = line.startswith("-")
    event = Event(
        labels={}, key=line.lstrip("-"), own_title=line.lstrip("-"), starts_at=now,
        state="resolved" if over else "firing", ends_at=now if over else None,
    )
    return Heard(reply=Reply(200, b"heard", "text/plain"), events=(event,))


def refuse(status, message, retry_after=None):
    return Reply(status, message.encode(), "text/plain")


ENTRANCE = Entrance(
    name="Shouting", about="Whoever can shout.", where="Out of the window.", prefix="/shout", key="path",
    paths=("/now",), methods=("POST",), snippet=lambda url, key: f"curl -d 'Help!' {url}/now",
)
SOURCE = Source(name="shouts", version=1, decode=decode, refuse=refuse, entrance=ENTRANCE)
'''  # fmt: skip
KEY = "a-key-of-the-plan-of-32-characters"


def grown(folder: Path, files: Mapping[str, str], changed: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """A folder with the package in it as it would be with more files, and with other lines in some that it has.

    All else is the installed package, by links.
    """
    package = Path(tocsin.__file__).parent
    root = folder / "tocsin"
    folders = {parent for name in (*files, *changed) for parent in Path(name).parents}
    for each in sorted(folders):
        (root / each).mkdir(parents=True)
        for child in (package / each).iterdir():
            inner = each / child.name
            if inner not in folders and str(inner) not in changed and child.name != "__pycache__":
                (root / inner).symlink_to(child)
    for name, text in files.items():
        assert not (package / name).exists(), name
        (root / name).write_text(text)
    for name, lines in changed.items():
        text = (package / name).read_text()
        for line, more in lines:
            assert text.count(line) == 1, (name, line)
            text = text.replace(line, more)
        (root / name).write_text(text)
    return str(folder)


PROBE = '''
"""Candles: does one burn at a path?"""

from tocsin.intake.checked import Checked


async def check(spec, now, outside):
    burns = await outside.aside(spec.target, lambda: open(spec.target).read(), within=1.0)
    return Checked(burns == spec.options["well"], f"the candle says {burns}")
'''

CANDLE = '''
class CandleProbe(Probe):
    """Looks at a candle."""

    what = "a candle probe"
    candle = Field(PATH, "Where it stands.", required=True)

    def looks_at(self, findings: Findings) -> Looks:
        """A path."""
        return self.candle or "", {"well": "burning"}


'''

CHANNEL = '''
"""Pigeons: a page is a line in a file, the pigeon's way."""

from tocsin.pages.message import Sent


class Pigeon:
    name = "pigeon"
    idempotent = False
    real = True

    async def send(self, message):
        with open(message.address, "a") as way:
            way.write(self.preview(message))
        return Sent()

    def preview(self, message):
        return f"{message.person}: {message.title}\\n"

    async def close(self):
        """It flies home."""


def channel(setup):
    return Pigeon()
'''

FILES = {
    "intake/sources/shouts.py": SOURCE,
    "intake/probes/candle.py": PROBE,
    "pages/channels/pigeon.py": CHANNEL,
}
REGISTERS = {
    "intake/sources/__init__.py": [('    "heartbeat",\n', '    "heartbeat",\n    "shouts",\n')],
    "intake/probes/__init__.py": [('    "postgres",\n', '    "postgres",\n    "candle",\n')],
    "pages/channels/__init__.py": [
        ("import apprise, ", "import apprise, pigeon, "),
        ('    "console": ', '    "pigeon": pigeon.channel,\n    "console": '),
    ],
}
SAID = {
    # What a plan may say of a probe, and of a channel's addresses.
    "plan/probes.py": [
        ("PROBES: Final[dict[str, type[Probe]]] = {\n", f'{CANDLE}PROBES: Final = {{\n    "candle": CandleProbe,\n'),
    ],
    "plan/model.py": [('OPEN = frozenset({"webhook", ', 'OPEN = frozenset({"pigeon", "webhook", ')],
    "plan/schema.py": [
        ("    matrix = Field(MATRIX_USER", '    pigeon = Field(TEXT, "Its way.")\n    matrix = Field(MATRIX_USER'),
    ],
}


def test_a_source_a_probe_and_a_channel_are_a_file_and_a_line_each_and_what_a_plan_may_say_of_them(
    tmp_path: Path,
) -> None:
    """The plan, the doors, the API and its document, the command line and the pages know them by these alone."""
    path = grown(tmp_path / "grown", FILES, REGISTERS | SAID)
    candle, loft = tmp_path / "candle", tmp_path / "loft"
    candle.write_text("burning")
    street = {
        "keys": {"window": {"source": "shouts", "secret": "secret:window"}},
        "probes": [{"candle": str(candle), "every": "1s", "failures": 1}],
    }
    plan = a_plan(services={"street": street}, people={"ana": {"name": "Ana", "pigeon": str(loft)}})
    environment = {"PYTHONPATH": path, "TOCSIN_SECRET_WINDOW": KEY}
    server = TocsinServer(tmp_path, plan=plan, environment=environment, warm=False).start()
    try:
        told = _run(server, path, "key", "create", "--source", "shouts", "--service", "street")
        assert "Out of the window." in told
        url = next(line for line in told.split() if line.startswith("http"))
        assert f"curl -d 'Help!' {url}/now" in told
        assert "shouts" in _run(server, path, "key", "create", "--help")
        assert "pigeon" in _run(server, path, "channel", "list", "--plan", str(server.plan))

        assert curl("-d", "The bakery burns", f"{url}/now") == "heard"
        assert curl("-d", "The well is dry", f"{server.url}/shout/{KEY}/now") == "heard"
        assert {one["title"] for one in server.json("alerts")} == {"The bakery burns", "The well is dry"}
        eventually(lambda: loft.exists() and loft.read_text().count("ana: ") == 2, what="pigeons")
        assert set(loft.read_text().splitlines()) == {"ana: The bakery burns", "ana: The well is dry"}
        assert curl("-d", "", f"{url}/now") == "say something"
        assert curl("-d", "x", f"{server.url}/shout/another/now") == "this key is not known for shouts, or was revoked"
        for line in ("-The bakery burns", "-The well is dry"):
            assert curl("-d", line, f"{url}/now") == "heard"
        assert server.json("alerts", "--state", "firing") == []

        candle.write_text("smoking")
        eventually(lambda: "ana: the candle says smoking" in loft.read_text(), what="a page about the candle")

        _, document = server.call("GET", "/api/openapi.json")
        assert "shouts" in document["components"]["schemas"]["KeyIn"]["properties"]["source"]["enum"]
    finally:
        server.close()


def _run(server: TocsinServer, path: str, *arguments: str) -> str:
    environment = inherited_environment(TOCSIN_DATA=str(server.data), PYTHONPATH=path, NO_COLOR="1", COLUMNS="200")
    command = [str(tocsin_command()), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout
