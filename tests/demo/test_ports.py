"""A busy port is said plainly, before anything is started, and a chosen one is held until it is used."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import tempfile
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tocsin.demo import ports
from tocsin.demo.children import Children
from tocsin.demo.ports import Ports
from tocsin.demo.run import run
from tocsin.demo.shop import Shopkeeper


@pytest.fixture
def busy():
    """A port somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


@contextlib.contextmanager
def a_server(port):
    """Another program that listens on a port, as servers do. Raises OSError."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind(("127.0.0.1", port))
        line.listen()
        yield


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
    numbers = [getattr(picked, name).number for name in picked.__dataclass_fields__]
    picked.let_go()
    assert len(set(numbers)) == len(numbers)
    assert busy not in numbers
    assert all(ports.free(number) for number in numbers)


def test_no_other_program_gets_a_port_between_its_choice_and_its_use():
    """Not even one that asks as servers do (SO_REUSEADDR). Ours get it; a shop's stays ours while nobody listens."""
    picked = Ports.pick(0, None, None)
    try:
        for name in picked.__dataclass_fields__:
            with pytest.raises(OSError, match="in use"), a_server(getattr(picked, name).number):
                pass
        picked.tocsin.let_go()
        with a_server(picked.tocsin.number):
            assert not ports.free(picked.tocsin.number)
        for _ in range(2):  # payments dies, and is started again
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", picked.payments.number), timeout=5)
            shop = Shopkeeper(picked.payments.number, {})
            socket.create_connection(("127.0.0.1", picked.payments.number), timeout=5).close()
            shop.server_close()
        with pytest.raises(OSError, match="in use"), a_server(picked.payments.number):
            pass
    finally:
        picked.let_go()


def test_ports_are_let_go_when_another_one_cannot_be_had(busy):
    """Or the second try would find them taken by the first."""
    port = free_port()
    with pytest.raises(ports.Busy):
        Ports.pick(port, None, busy)
    assert ports.free(port)


def test_a_port_that_is_taken_while_tocsin_starts_is_said_as_plainly(monkeypatch):
    """It binds the port itself, a moment after it is let go."""
    start, port, out = Children.start, free_port(), io.StringIO()

    def late(children, name, argv, own=None):
        if name == "tocsin":
            thief.bind(("127.0.0.1", port))
            thief.listen()
        return start(children, name, argv, own)

    monkeypatch.setattr(Children, "start", late)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        assert run(port=port, out=out) == 1
    assert f"Port {port} is busy" in out.getvalue()
    assert "Tocsin wants it" in out.getvalue()


def test_a_port_that_needs_root_is_refused_with_its_reason(monkeypatch):
    """What the system says is passed on."""

    def forbidden(port):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ports, "_free_near", lambda first: 18080)
    monkeypatch.setattr(ports, "hold", forbidden)
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
