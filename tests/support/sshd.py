"""A real OpenSSH server on loopback, run as whoever runs the tests, with host keys and users' keys of its own."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.waiting import eventually


class Sshd:
    """One server. ``key``: a private key it lets in; ``stranger``: one it does not; ``host_key``: its public one."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port, self.user = port, getpass.getuser()
        self.key, self.stranger = make_key(folder / "user"), make_key(folder / "stranger")
        self.private_host_key = folder / "host"
        make_key(self.private_host_key)
        self.private_host_keys = [self.private_host_key, folder / "host-ecdsa"]
        make_key(self.private_host_keys[1], "ecdsa")
        self.ecdsa_host_key = " ".join((folder / "host-ecdsa.pub").read_text().split()[:2])
        self.host_key = " ".join((folder / "host.pub").read_text().split()[:2])
        self.other_host_key = " ".join((folder / "stranger.pub").read_text().split()[:2])
        (folder / "authorized").write_text((folder / "user.pub").read_text())


def make_key(path: Path, kind: str = "ed25519") -> str:
    """A private key, made by OpenSSH itself."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", path], check=True, timeout=30)
    return path.read_text()


@contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    """Start one, and end it again. Skips the test where there is none."""
    program = Path("/usr/sbin/sshd")
    if not program.exists():
        pytest.skip("no sshd on this machine: `make setup` installs it where it may")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # what its service would make
    made = Sshd(folder, free_port())
    config = folder / "config"
    config.write_text(
        f"""
ListenAddress 127.0.0.1
Port {made.port}
HostKey {made.private_host_keys[0]}
HostKey {made.private_host_keys[1]}
AuthorizedKeysFile {folder / "authorized"}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel ERROR
"""
    )
    log = folder / "log"
    server = subprocess.Popen([program, "-D", "-f", config, "-E", log], stdin=subprocess.DEVNULL)
    try:
        eventually(lambda: _listens(made.port, server, log), what="sshd to listen")
        yield made
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(5)
        if server.poll() is None:
            server.kill()
            server.wait()


def _listens(port: int, server: subprocess.Popen[bytes], log: Path) -> bool:
    assert server.poll() is None, log.read_text()
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as line:
        line.settimeout(5)
        return line.recv(4) == b"SSH-"
    return False
