"""A real HAProxy with two real servers behind it; one certificate of its own, and a runtime socket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.certificates import make_certificate
from tests.support.ports import free_port
from tests.support.waiting import eventually

SERVES = """
import http.server, os, sys, threading, time
folder, name = sys.argv[2], sys.argv[3]
sick, room = [], threading.Semaphore(2)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/sicken":
            sick.append(1)
        if self.path.startswith(("/work", "/health")):
            with room:
                time.sleep(0.04)
        ill = sick or os.path.exists(os.path.join(folder, name + ".ill"))
        if self.path.startswith("/slow"):
            time.sleep(float(self.path[5:]))
        self.send_response(500 if ill else 200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode() if self.path == "/pid" else name.encode())
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Balanced:
    """HAProxy at ``port`` (and ``tls_port``), its ``socket``, and behind it the servers ``one`` and ``two``."""

    def __init__(self, folder: Path, short: Path) -> None:
        self.folder, self.socket, self.pem = folder, short / "admin.sock", folder / "served.pem"
        self.port, self.tls_port = free_port(), free_port()
        self.ports = {"one": free_port(), "two": free_port()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.proxy: subprocess.Popen[bytes] | None = None

    def certify(self, days: float) -> None:
        """Put a new certificate where HAProxy reads it when it is reloaded."""
        made = make_certificate(self.folder, days=days)
        self.pem.write_bytes(made.cert.read_bytes() + made.key.read_bytes())

    def start(self, name: str) -> None:
        """Start a server, in the place of the one of that name."""
        self.stop(name)
        self.ill(name, False)
        words = [sys.executable, "-c", SERVES, str(self.ports[name]), str(self.folder), name]
        self.processes[name] = subprocess.Popen(words)
        eventually(lambda: _open(self.ports[name]), what=f"the server {name}")

    def stop(self, name: str) -> None:
        """End a server."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def ill(self, name: str, is_ill: bool = True) -> None:
        """Have a server answer 500."""
        file = self.folder / f"{name}.ill"
        if is_ill:
            file.touch()
        else:
            file.unlink(missing_ok=True)

    def at(self, name: str) -> str:
        """Where a server says that it is well."""
        return f"http://127.0.0.1:{self.ports[name]}/health"

    def reload(self, seen: Callable[[], bool]) -> None:
        """As its service does, until what was changed is seen: a master that still reloads hears no second signal."""
        assert self.proxy is not None
        for last in (False, False, False, True):
            self.proxy.send_signal(signal.SIGUSR2)
            with suppress(*(() if last else (AssertionError,))):
                eventually(seen, what="what HAProxy was reloaded for", within=10 if last else 3)
                return


class Supervised(Balanced):
    """The same, its servers run by a real supervisord."""

    @property
    def restart(self) -> list[str]:
        """What restarts a server, but for its name."""
        return [
            str(Path(sys.executable).parent / "supervisorctl"),
            "-c",
            str(self.folder / "supervisor.conf"),
            "restart",
        ]

    def start(self, name: str) -> None:
        """Both, with the first."""
        if "supervisord" not in self.processes:
            serves = self.folder / "serves.py"
            serves.write_text(SERVES)
            lines = [
                f"[program:{key}]\ncommand={sys.executable} {serves} {port} {self.folder} {key}\nstartsecs=0\n"
                for key, port in self.ports.items()
            ]
            config = self.folder / "supervisor.conf"
            config.write_text(_SUPERVISOR.format(it=self, at=self.socket.with_name("super.sock")) + "\n".join(lines))
            words = [str(Path(sys.executable).parent / "supervisord"), "-c", str(config)]
            self.processes["supervisord"] = subprocess.Popen(
                words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        eventually(lambda: _open(self.ports[name]), what=f"the server {name}")

    def stop(self, name: str) -> None:
        """supervisord, and all it runs."""
        process = self.processes.pop(name)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


_SUPERVISOR = """
[supervisord]
nodaemon=true
logfile={it.folder}/supervisord.log
pidfile={it.folder}/supervisord.pid
[unix_http_server]
file={at}
[supervisorctl]
serverurl=unix://{at}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""


@contextmanager
def running_haproxy(folder: Path, kind: type[Balanced] = Balanced) -> Iterator[Balanced]:
    """Start all of it, and end it again. Skips the test where there is no HAProxy."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no haproxy on this machine: `make setup` installs it where it may")
    with tempfile.TemporaryDirectory(prefix="tocsin-") as short:  # a socket's path has room for 100 letters
        made = kind(folder, Path(short))
        made.certify(days=5)
        config = folder / "haproxy.cfg"
        config.write_text(_CONFIG.format(it=made, **made.ports))
        try:
            made.start("one")
            made.start("two")
            made.proxy = subprocess.Popen(
                [program, "-W", "-f", config], stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb")
            )
            eventually(lambda: _open(made.port) and made.socket.exists(), what="HAProxy to listen")
            yield made
        finally:
            if made.proxy is not None:
                made.proxy.terminate()
                with suppress(subprocess.TimeoutExpired):
                    made.proxy.wait(10)
                if made.proxy.poll() is None:
                    made.proxy.kill()
                    made.proxy.wait()
            for name in list(made.processes):
                made.stop(name)


_CONFIG = """
global
    stats socket {it.socket} mode 600 level admin
    hard-stop-after 2s
    ssl-server-verify none
defaults
    mode http
    timeout connect 2s
    timeout client 20s
    timeout server 20s
    timeout queue 300ms
    timeout check 5s
frontend front
    bind 127.0.0.1:{it.port}
    default_backend web
frontend secure
    bind 127.0.0.1:{it.tls_port} ssl crt {it.pem}
    default_backend web
backend web
    option httpchk GET /health
    option redispatch
    server one 127.0.0.1:{one} check inter 100ms fall 2 rise 1 maxconn 50
    server two 127.0.0.1:{two} check inter 100ms fall 2 rise 1 maxconn 50
"""


def _open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
