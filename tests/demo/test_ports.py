"""A busy port is said plainly, before anything is started."""

from __future__ import annotations

import io
import re
import socket
import tempfile
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tocsin.demo import ports
from tocsin.demo.run import Ports, run


@pytest.fixture
def busy():
    """A port somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def test_a_busy_port_gets_a_message_and_nothing_is_started(busy, monkeypatch, tmp_path):
    """The message names the port, who wants it, and a port that is free."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    out = io.StringIO()
    assert run(port=busy, out=out) == 1
    said = out.getvalue()
    assert f"Port {busy} is busy" in said
    assert "Tocsin wants it" in said
    proposed = int(said.rsplit("--port ", 1)[1])
    assert ports.free(proposed)
    assert list(tmp_path.iterdir()) == []


def test_make_demo_is_told_how_make_takes_a_port(busy, monkeypatch, tmp_path):
    """It takes no options itself."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TOCSIN_DEMO_BY", "make")
    out = io.StringIO()
    assert run(port=busy, out=out) == 1
    assert re.search(r"choose another port: make demo DEMO_ARGS='--port \d+'\n$", out.getvalue())


def test_every_wanted_port_is_named_by_its_own_option(busy):
    """The inbox and the mail catcher say --inbox-port and --mail-port."""
    for inbox, smtp, option in ((busy, None, "--inbox-port"), (None, busy, "--mail-port")):
        with pytest.raises(ports.Busy, match=option):
            Ports.pick(free_port(), inbox, smtp)


def test_ports_that_nobody_asked_for_avoid_busy_ones_and_each_other(busy):
    """The usual ports, or the next free ones."""
    picked = Ports.pick(0, None, None)
    numbers = [getattr(picked, name) for name in picked.__dataclass_fields__]
    assert len(set(numbers)) == len(numbers)
    assert busy not in numbers
    assert all(ports.free(number) for number in numbers)


def test_a_port_that_needs_root_is_refused_with_its_reason(monkeypatch):
    """What the system says is passed on."""

    def forbidden(port):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ports, "near", lambda first, taken=(): 18080)
    monkeypatch.setattr(ports, "free", forbidden)
    with pytest.raises(ports.Busy, match=r"Permission denied.*--port 18080"):
        ports.wanted(80, "Tocsin", "--port")


def test_the_demo_is_part_of_the_package():
    """What the demo reads lies beside its code."""
    import tocsin.demo

    folder = Path(tocsin.demo.__file__).parent
    wanted = (
        "plan.yaml",
        "playbooks/logs.py",
        "playbooks/payments.py",
        "inbox_files/inbox.html",
        "inbox_files/list.html",
        "inbox_files/inbox.css",
        "inbox_files/inbox.js",
    )
    for name in wanted:
        assert (folder / name).is_file()
