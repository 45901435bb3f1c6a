"""What the SSH target does and refuses, against a real OpenSSH server."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.sshd import Sshd, running_sshd
from tests.support.steps import step
from tests.support.waiting import eventually
from tocsin.library import ssh
from tocsin.library.described import Trouble
from tocsin.playbooks.runner.child import redacted, secret_parts

IT = ssh.Machine(name="web-1")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def held(sshd: Sshd, **other: Any) -> dict[str, Any]:
    there = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "host_keys": [sshd.host_key]}
    return {"web-1": there | {"secrets": {"key": other.pop("key", sshd.key)}} | other}


def test_a_command_says_how_it_ended_and_its_words_arrive_as_they_are(sshd: Sshd, tmp_path: Path) -> None:
    odd = "a 'b' \"c\" $HOME `id` ; exit 7"
    said = step(held(sshd), ssh.run, IT, ("printf", "%s|", odd, "*"))
    assert (said.code, said.out, said.err, said.cut) == (0, f"{odd}|*|", "", False)
    missing = step(held(sshd), ssh.run, IT, ("ls", str(tmp_path / "none")))
    assert missing.code == 2 and "No such file" in str(missing)
    with pytest.raises(Trouble, match="ended with 2"):
        step(held(sshd), ssh.change, IT, ("ls", str(tmp_path / "none")))
    assert step(held(sshd), ssh.ensure, IT, ("touch", str(tmp_path / "made"))).code == 0
    assert (tmp_path / "made").exists()
    assert not ssh.change.idempotent and ssh.change.probe is None and ssh.ensure.idempotent


def test_a_host_key_that_is_not_in_the_plan_is_refused_and_nothing_is_run(sshd: Sshd, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(Trouble, match="host key that is not in the plan"):
        step(held(sshd, host_keys=[sshd.other_host_key]), ssh.ensure, IT, ("touch", str(made)))
    assert not made.exists()
    both = held(sshd, host_keys=[sshd.other_host_key, sshd.host_key])
    assert step(both, ssh.run, IT, ("true",)).code == 0, "while a host key is being changed the plan has both"
    other_kind = held(sshd, host_keys=[sshd.ecdsa_host_key])
    assert step(other_kind, ssh.run, IT, ("true",)).code == 0, "the one of its keys that the plan names is asked for"


def test_a_wrong_key_an_unreadable_one_and_a_port_where_nothing_is_say_so(sshd: Sshd) -> None:
    with pytest.raises(Trouble, match=f"does not let {sshd.user} in"):
        step(held(sshd, key=sshd.stranger), ssh.run, IT, ("true",))
    with pytest.raises(Trouble, match="cannot be read") as raised:
        step(held(sshd, key="no key at all"), ssh.run, IT, ("true",))
    assert "no key at all" not in str(raised.value)
    with pytest.raises(Trouble, match="cannot be reached"):
        step(held(sshd, port=1), ssh.run, IT, ("true",))
    with pytest.raises(Trouble, match="metadata"):
        step(held(sshd, host="169.254.169.254"), ssh.run, IT, ("true",))


def test_a_host_of_several_addresses_is_reached_by_the_one_where_somebody_answers(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = socket.socket()  # takes connections, and says nothing: nobody accepts them
    deaf.bind(("127.0.0.2", sshd.port))
    deaf.listen(1)
    monkeypatch.setattr(ssh, "CONNECTED_WITHIN", 2.0)
    with deaf:
        for first in ("127.0.0.2", "127.0.0.3"):  # the other refuses them
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, sshd.port)) for one in (first, "127.0.0.1")]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *args, found=found, **more: found)
            assert step(held(sshd, host="web.example"), ssh.run, IT, ("true",)).code == 0, first
            with pytest.raises(Trouble, match="host key that is not in the plan"):
                step(held(sshd, host="web.example", host_keys=[sshd.other_host_key]), ssh.run, IT, ("true",))


def test_a_command_that_hangs_is_given_up_in_time(sshd: Sshd, tmp_path: Path) -> None:
    pidfile, began = tmp_path / "pid", time.monotonic()
    with pytest.raises(Trouble, match="did not end within 700ms"):
        step(held(sshd), ssh.run, IT, ("sh", "-c", f"echo $$ > {pidfile}; exec sleep 60"), within="700ms")
    assert time.monotonic() - began < 5
    pid = int(pidfile.read_text())
    if os.geteuid() == 0:  # the server passes no signals on to the processes of root
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="what hung to be gone")


def test_of_a_huge_output_the_beginning_is_kept_and_one_without_end_is_ended(sshd: Sshd) -> None:
    long = step(held(sshd), ssh.run, IT, ("sh", "-c", "yes abc | head -c 3000000; echo oops >&2; exit 3"))
    assert (long.code, len(long.out), long.cut, long.err) == (3, ssh.MOST_KEPT, True, "oops\n")
    with pytest.raises(Trouble, match="more than 16 MiB"):
        step(held(sshd), ssh.run, IT, ("sh", "-c", "exec yes abc"))


def test_no_line_of_a_private_key_is_in_what_people_read(sshd: Sshd) -> None:
    credential = msgspec.json.encode(held(sshd)["web-1"]).decode()
    known = sorted(secret_parts([credential]), key=len, reverse=True)
    lines = [one for one in sshd.key.splitlines() if not one.startswith("-")]
    assert len(lines) > 3
    said = redacted(f"it said {lines[2]}, and {sshd.key!r}, and {sshd.host_key}", known)
    assert not any(one in said for one in lines) and sshd.host_key in said
