"""Commands that the plan names, run where the plan says: on the machine Tocsin runs on, or on one reached by SSH."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library import ssh
from tocsin.library.described import Trouble
from tocsin.library.ssh import MOST_KEPT, Reach, Said


def carry_out(argv: Sequence[str], on: Reach | None, secrets: Mapping[str, str], within: str) -> Said:
    """Run a command; no shell of ours is between. Raises Trouble when it cannot be run or does not end in time."""
    if on is not None:
        return ssh.carry_out(on, secrets["key"], argv, within)
    began = time.monotonic()
    # Into files: what a command leaves behind in the background would keep a pipe open, and the step waiting.
    with TemporaryFile() as out, TemporaryFile() as err:
        try:
            done = subprocess.run(
                tuple(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                timeout=parse_duration(within) / SECOND, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Trouble(f"{argv[0]} did not end within {within}") from None
        except OSError as error:
            raise Trouble(f"{argv[0]} cannot be run: {error.strerror}") from None
        cut = out.tell() > MOST_KEPT or err.tell() > MOST_KEPT
        out.seek(0)
        err.seek(0)
        texts = [one.read(MOST_KEPT).decode(errors="replace") for one in (out, err)]
    return Said(done.returncode, texts[0], texts[1], cut, round((time.monotonic() - began) * 1000, 1))


def succeed(argv: Sequence[str], on: Reach | None, secrets: Mapping[str, str], within: str = "60s") -> Said:
    """As ``carry_out``; raises Trouble too when it ends with anything but 0."""
    said = carry_out(argv, on, secrets, within)
    if said.code != 0:
        raise Trouble(f"{argv[0]}: {said}")
    return said
