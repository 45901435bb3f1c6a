"""A machine reached by SSH: commands with a bounded answer, one user to look and one to fix, host keys checked.

Needs the extra ``ssh`` (``pip install 'tocsin[ssh]'``) where Tocsin runs. A target is ``{ssh: {host: …, user: …, host
key: …}, look with: secret:KEY, fix with: secret:KEY}``: the host keys that are believed stand in the plan, and no other
is ever accepted. Neither ``~/.ssh`` nor an agent is used.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct

from tocsin.kernel.addresses import refusal
from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library.described import Trouble, described
from tocsin.playbooks.language import Span, Target, Uninstalled, fix, look

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

WARM = ("asyncssh",)
CONNECTED_WITHIN = 10.0
MOST_KEPT = 32 * 1024
"""Bytes of each of a command's two outputs that are kept: the beginning. A step's answer has room for both."""
MOST_READ = 16 * 1024 * 1024
"""A command that prints more is ended."""
SAID = 300


class Machine(Target, frozen=True):
    """One machine."""

    kind: ClassVar[str] = "ssh"


class Missing(Trouble, Uninstalled):
    """The client's package is not installed."""


class Reach(Struct, frozen=True):
    """How the plan says a machine is reached. ``host_keys``: lines such as ``ssh-ed25519 AAAA…``."""

    host: str
    port: int
    user: str
    host_keys: tuple[str, ...]


class Where(Reach, frozen=True):
    """With the private key of the user, in OpenSSH's or PEM form, without a passphrase."""

    secrets: dict[str, str]


class Said(Struct, frozen=True):
    """What a command came to. ``code``: its exit code; ``out``, ``err``: the first 32 KiB of each; ``cut``: there was
    more.
    """

    code: int
    out: str
    err: str
    cut: bool
    took_ms: float

    def __str__(self) -> str:
        last = (self.err or self.out).strip().rpartition("\n")[2][:SAID]
        return f"it ended with {self.code} after {self.took_ms:.0f} ms" + (f": {last}" if last else "")


@look
def run(machine: Machine, argv: tuple[str, ...], *, within: Span = "30s") -> Said:
    """Run a command as the user that looks, and answer what it came to, whatever that is.

    ``argv``: its words; no shell of ours puts anything into them. That it changes nothing is for the user's rights to
    see to. Raises Trouble when it could not be run, did not end in time, or printed more than 16 MiB.
    """
    where = described(machine, Where, "{ssh: {host: …, user: …, host key: …}, look with: secret:KEY}")
    return carry_out(where, where.secrets["key"], argv, within)


@fix(says="run this on {machine}: {argv:words}", undo="as the command itself can be undone")
def change(machine: Machine, argv: tuple[str, ...], *, within: Span = "60s") -> Said:
    """Run a command as the user that fixes. Raises Trouble when it ends with anything but 0.

    Interrupted in the middle of it, a run is handed over: nobody knows how far it came.
    """
    return _changed(machine, argv, within)


@fix(idempotent=True, says="run this on {machine}: {argv:words}", undo="as the command itself can be undone")
def ensure(machine: Machine, argv: tuple[str, ...], *, within: Span = "60s") -> Said:
    """As ``change``, for a command that may be run twice, such as ``systemctl start web``."""
    return _changed(machine, argv, within)


def _changed(machine: Machine, argv: tuple[str, ...], within: str) -> Said:
    where = described(machine, Where, "{ssh: {host: …, user: …, host key: …}, fix with: secret:KEY}")
    said = carry_out(where, where.secrets["key"], argv, within)
    if said.code != 0:
        raise Trouble(f"{argv[0]}: {said}")
    return said


def carry_out(
    where: Reach, key: str, argv: Sequence[str], within: str, *, feed: bytes = b"", keep: int = MOST_KEPT
) -> Said:
    """Run a command on a machine. ``feed``: what it reads on its standard input; ``keep``: bytes of its outputs.

    Raises Trouble, see ``run``; Missing without the extra.
    """
    if not argv:
        raise Trouble("there is no command to run")
    try:
        import asyncssh  # noqa: F401  # looked for here, so that what to install is said once
    except ImportError:
        raise Missing("the client for SSH is not there: pip install 'tocsin[ssh]'") from None
    return asyncio.run(_carry_out(where, key, argv, within, feed, keep))


async def _carry_out(where: Reach, key: str, argv: Sequence[str], within: str, feed: bytes, keep: int) -> Said:
    began = time.monotonic()
    line = await _connected(where, key)
    try:
        async with asyncio.timeout(parse_duration(within) / SECOND):
            process = await line.create_process(
                shlex.join(argv), encoding=None, input=feed or None, stdin=asyncio.subprocess.DEVNULL, request_pty=False
            )
            try:
                (out, more), (err, further) = await asyncio.gather(
                    _read(process.stdout, keep), _read(process.stderr, keep)
                )
                await process.wait_closed()
            except BaseException:
                process.kill()  # where the server passes signals on; closing the line alone would leave it running
                raise
    except TimeoutError:
        raise Trouble(f"{argv[0]} did not end within {within} on {where.host}") from None
    finally:
        line.abort()
    code = process.returncode
    if code is None or code < 0:
        raise Trouble(f"{argv[0]} was ended by signal {process.exit_signal or '?'} on {where.host}")
    return Said(code, out, err, more or further, round((time.monotonic() - began) * 1000, 1))


async def _connected(where: Reach, key: str) -> SSHClientConnection:
    import asyncssh

    try:
        keys = [asyncssh.import_private_key(key.strip() + "\n")]
        known = [asyncssh.import_public_key(one) for one in where.host_keys]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        raise Trouble(f"a key for {where.host} cannot be read: {error}") from None
    options: dict[str, Any] = {
        "username": where.user, "client_keys": keys, "known_hosts": (known, [], []), "config": None,
        "agent_path": None, "preferred_auth": "publickey", "login_timeout": CONNECTED_WITHIN, "keepalive_interval": 5,
    }  # fmt: skip
    try:
        async with asyncio.timeout(CONNECTED_WITHIN):
            addresses = await asyncio.to_thread(_addresses, where.host, where.port)
            return await _first_of(addresses, where.port, options)
    except TimeoutError:
        raise Trouble(f"{where.host} does not answer within {CONNECTED_WITHIN:g} s") from None
    except asyncssh.HostKeyNotVerifiable:
        raise Trouble(f"{where.host} shows a host key that is not in the plan: nothing was sent to it") from None
    except asyncssh.PermissionDenied:
        raise Trouble(f"{where.host} does not let {where.user} in with this key") from None
    except (asyncssh.Error, OSError) as error:
        raise Trouble(f"{where.host} cannot be reached: {error}") from None


async def _first_of(addresses: list[str], port: int, options: dict[str, Any]) -> SSHClientConnection:
    """The first address where somebody answers; each has its share of the time that is left. One who answers and shows
    another key, or lets nobody in, is not passed over for the next.
    """
    import asyncssh

    until = time.monotonic() + CONNECTED_WITHIN
    for left, address in zip(range(len(addresses), 1, -1), addresses, strict=False):
        try:
            async with asyncio.timeout((until - time.monotonic()) / left):
                return await asyncssh.connect(address, port, **options)
        except (asyncssh.HostKeyNotVerifiable, asyncssh.PermissionDenied):
            raise
        except (OSError, asyncssh.Error):
            continue
    return await asyncssh.connect(addresses[-1], port, **options)


def _addresses(host: str, port: int) -> list[str]:
    """The addresses of a host, looked at once: what is connected to is what was looked at."""
    found = [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    refused = [why for one in found if (why := refusal(one))]
    if len(refused) == len(found):
        raise OSError(refused[0] if refused else f"{host} has no address")
    return [one for one in dict.fromkeys(found) if not refusal(one)]


async def _read(stream: Any, keep: int) -> tuple[str, bool]:
    """The first of what comes, as text, and whether there was more; the rest is read and dropped."""
    kept, total = bytearray(), 0
    while some := await stream.read(64 * 1024):
        total += len(some)
        if total > MOST_READ:
            raise Trouble("it printed more than 16 MiB, and was ended")
        kept += some[: keep - len(kept)]
    return bytes(kept).decode(errors="replace"), total > len(kept)
