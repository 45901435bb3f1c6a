"""Run a command that ends when the one who started it does, whatever happens to that one.

``python -m tocsin.demo.tied PARENT COMMAND …`` asks the kernel for SIGKILL at the parent's death and becomes COMMAND,
so that the process id stays the same. On Linux; elsewhere it only becomes COMMAND, and the sweeper sees to the rest.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def command(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` tied to this process."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *argv]


def main(argv: Sequence[str]) -> None:
    """Tie this process to its parent, then become the command. Returns only if the parent has died already."""
    parent, *rest = argv
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before the kernel knew of our wish
            return
    os.execvp(rest[0], rest)


if __name__ == "__main__":
    main(sys.argv[1:])
