"""What CONTRIBUTING promises to whoever adds something: one file and one line of a register, and nothing else."""

from __future__ import annotations

import json
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
from tocsin.intake.probed import Probed
from tocsin.notation.decoder import Field
from tocsin.notation.words import PATH


async def check(spec, now, outside):
    burns = await outside.aside(spec.target, lambda: open(spec.target).read(), within=1.0)
    return Checked(burns == spec.options["well"], f"the candle says {burns}")


class CandleProbe(Probed):
    """Looks at a candle."""

    what = "a candle probe"
    candle = Field(PATH, "Where it stands.", required=True)

    def looks_at(self, findings):
        """A path."""
        return self.candle or "", {"well": "burning"}


PROBE = CandleProbe
'''

CHANNEL = '''
"""Pigeons: a page is a line in a file, the pigeon's way."""

from tocsin.notation.decoder import Field
from tocsin.notation.words import TEXT
from tocsin.pages.message import Sent
from tocsin.pages.profile import Address, BadAddress, Own, Paced, Profile, SetUp, Wording


class Pigeon:
    name = "pigeon"
    idempotent = False
    real = True

    def __init__(self, setup):
        self._corn = setup.channels["pigeon"]["corn"]

    async def send(self, message):
        with open(message.address, "a") as way:
            way.write(self.preview(message))
        return Sent()

    def preview(self, message):
        return f"{message.person}, for {self._corn}: {message.kind} {message.title}\\n"

    async def close(self):
        """It flies home."""


class Loft(Paced):
    """The loft that pigeons leave from."""

    what = "a loft"
    corn = Field(TEXT, "What they are fed.", required=True)


def checked(way):
    if not way.startswith("/"):
        raise BadAddress("write its way from the root on")
    return way


PROFILE = Profile(
    name="pigeon", called="Carrier pigeon", by="by pigeon",
    make=lambda setup: Pigeon(setup) if "pigeon" in setup.channels else None,
    set_up=SetUp("pigeon", Loft, "Pages that pigeons carry."), address=Address(TEXT, "Its way."),
    own=Own(checked, asks="the way of a pigeon"), wording=Wording("What is tied to its leg.", "short"), follows=True,
)
'''

FILES = {
    "intake/sources/shouts.py": SOURCE,
    "intake/probes/candle.py": PROBE,
    "pages/channels/pigeon.py": CHANNEL,
}
REGISTERS = {
    "intake/sources/__init__.py": [('    "heartbeat",\n', '    "heartbeat",\n    "shouts",\n')],
    "intake/probes/__init__.py": [('    "peer",\n', '    "peer",\n    "candle",\n')],
    "pages/channels/__init__.py": [('    "console",\n', '    "pigeon",\n    "console",\n')],
}


def test_a_source_a_probe_and_a_channel_are_a_file_and_a_line_each(tmp_path: Path) -> None:
    """The plan, the doors, the API and its document, the command line and the pages know them by these alone."""
    path = grown(tmp_path / "grown", FILES, REGISTERS)
    candle, loft = tmp_path / "candle", tmp_path / "loft"
    candle.write_text("burning")
    street = {
        "keys": {"window": {"source": "shouts", "secret": "secret:window"}},
        "probes": [{"candle": str(candle), "every": "1s", "failures": 1}],
    }
    people = {"ana": {"name": "Ana", "pigeon": str(loft)}}
    plan = a_plan(services={"street": street}, people=people, channels={"pigeon": {"corn": "maize"}})
    environment = {"PYTHONPATH": path, "TOCSIN_SECRET_WINDOW": KEY}
    server = TocsinServer(tmp_path, plan=plan, environment=environment, warm=False).start()
    try:
        told = _run(server, path, "key", "create", "--source", "shouts", "--service", "street")
        assert "Out of the window." in told
        url = next(line for line in told.split() if line.startswith("http"))
        assert f"curl -d 'Help!' {url}/now" in told
        assert "shouts" in _run(server, path, "key", "create", "--help")
        assert "pigeon     ana" in _run(server, path, "channel", "list", "--plan", str(server.plan))

        assert curl("-d", "The bakery burns", f"{url}/now") == "heard"
        assert curl("-d", "The well is dry", f"{server.url}/shout/{KEY}/now") == "heard"
        assert {one["title"] for one in server.json("alerts")} == {"The bakery burns", "The well is dry"}
        eventually(lambda: loft.exists() and loft.read_text().count("ana, ") == 2, what="pigeons")
        burns, dry = (f"ana, for maize: page {what}" for what in ("The bakery burns", "The well is dry"))
        assert set(loft.read_text().splitlines()) == {burns, dry}
        _run(server, path, "incidents", "ack", "1")
        eventually(lambda: "ana, for maize: update" in loft.read_text(), what="a pigeon that says who has it")
        assert curl("-d", "", f"{url}/now") == "say something"
        assert curl("-d", "x", f"{server.url}/shout/another/now") == "this key is not known for shouts, or was revoked"
        for line in ("-The bakery burns", "-The well is dry"):
            assert curl("-d", line, f"{url}/now") == "heard"
        assert server.json("alerts", "--state", "firing") == []

        candle.write_text("smoking")
        about_it = "ana, for maize: page the candle says smoking"
        eventually(lambda: about_it in loft.read_text(), what="a page about the candle")

        _, document = server.call("GET", "/api/openapi.json")
        assert "shouts" in document["components"]["schemas"]["KeyIn"]["properties"]["source"]["enum"]
        _know_the_pigeon(server, path, tmp_path / "bare.yaml")
    finally:
        server.close()


def _know_the_pigeon(server: TocsinServer, path: str, bare: Path) -> None:
    """The plan's language, what people add themselves, and the pages know what the pigeon's file says."""
    language = json.loads(_run(server, path, "plan", "schema"))["$defs"]
    assert language["Channels"]["properties"]["pigeon"]["description"] == "Pages that pigeons carry."
    assert language["Loft"]["required"] == ["corn"]
    assert language["Messages"]["properties"]["pigeon"]["$ref"].endswith("/OwnText")
    bare.write_text("tocsin: 1\npeople: {ana: {pigeon: /tmp/way}}\n")
    refused = _run(server, path, "plan", "check", str(bare), ends=1)
    assert "'ana' is to be paged by pigeon, and the plan does not set that up" in refused
    assert "add channels: {pigeon: …}" in refused
    no_way = _run(server, path, "contact", "add", "pigeon", "nowhere", "--person", "ana", ends=1)
    assert "Write its way from the root on" in no_way
    added = _run(server, path, "contact", "add", "pigeon", "/dev/null", "--person", "ana")
    assert "A code is on its way to /dev/null" in added


def _run(server: TocsinServer, path: str, *arguments: str, ends: int = 0) -> str:
    environment = inherited_environment(TOCSIN_DATA=str(server.data), PYTHONPATH=path, NO_COLOR="1", COLUMNS="200")
    command = [str(tocsin_command()), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == ends, done.stdout + done.stderr
    return done.stdout + done.stderr
