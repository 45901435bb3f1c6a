"""Has a plan's playbooks read in a process of their own, and adds what they declare to the plan's files."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from tocsin.playbooks.manifest import COMPOSED, FOLDER, MANIFEST, Fault, Manifests, encode_manifests
from tocsin.playbooks.runner.bounds import MARK, end_marked

PATIENCE = 15.0
"""Seconds in which all of a plan's modules must be imported."""
MOST = 8 * 1024 * 1024
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR")
_read: dict[tuple[tuple[str, bytes], ...], bytes] = {}


def with_manifest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A plan's files, and beside its playbooks what they declare. The same files when it has no playbooks."""
    code = code_of(files)
    kept = {name: content for name, content in files.items() if name != MANIFEST}
    if not code:
        return kept
    key = tuple(sorted(code.items()))
    declared = _read.get(key)
    if declared is None:
        declared = encode_manifests(_declared(code))
        _read.clear()  # the last one is enough: a plan is read again and again while it is written
        _read[key] = declared
    return {**kept, MANIFEST: declared}


def code_of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of a plan's files, those that runs are made of."""
    return {name: content for name, content in files.items() if name.endswith(".py") or name == COMPOSED}


def scrubbed() -> dict[str, str]:
    """The environment of a process that runs code of others: nothing of Tocsin's own settings or secrets."""
    return {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


def apart(command: Sequence[str], line: int, mark: str) -> subprocess.Popen[bytes]:
    """Start a process that runs code of others: one line to us, a session of its own, and the mark it is ended by."""
    return subprocess.Popen(
        command,
        pass_fds=(line,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=scrubbed() | {MARK: mark},
        cwd="/",
        start_new_session=True,
    )


def unpack(code: Mapping[str, bytes], folder: Path) -> None:
    """Lay a plan's playbooks into a folder."""
    for name, content in code_of(code).items():
        if name.startswith(FOLDER) and ".." not in name.split("/"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _declared(code: Mapping[str, bytes]) -> Manifests:
    with tempfile.TemporaryDirectory(prefix="tocsin-playbooks-") as place:
        folder = Path(place)
        unpack(code, folder)
        mark = f"reading-{os.getpid()}-{token_hex(8)}"
        ours, theirs = os.pipe()
        command = [sys.executable, "-m", "tocsin.playbooks.runner.declare", str(folder), str(theirs)]
        process = apart(command, theirs, mark)
        os.close(theirs)
        try:
            said, ended = _all_of(ours)
        finally:
            os.close(ours)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it started
            process.wait()
            with suppress(FileNotFoundError):  # a system without /proc
                end_marked(mark)  # what left its group
    begun, _, made = said.partition(b"\n\n")
    last = begun.decode(errors="replace").rstrip("\n").rpartition("\n")[2] or FOLDER
    if not made:
        why = "ended Python" if ended else f"did not end within {PATIENCE:.0f} s"
        hint = "" if ended else "nothing may happen while a playbook is imported: put it into a step"
        return Manifests(faults=(Fault(last, 1, f"importing it {why}", hint),))
    import msgspec

    try:
        return msgspec.json.decode(made, type=Manifests)
    except msgspec.DecodeError as error:
        return Manifests(faults=(Fault(last, 1, f"what it declares cannot be read: {error}"),))


def _all_of(pipe: int) -> tuple[bytes, bool]:
    """What comes through a pipe until its end or the time runs out; and whether it ended."""
    until = time.monotonic() + PATIENCE
    held = bytearray()
    while (left := until - time.monotonic()) > 0 and len(held) < MOST:
        if not select.select([pipe], [], [], left)[0]:
            break
        some = os.read(pipe, 65_536)
        if not some:
            return bytes(held), True
        held += some
    return bytes(held), False
