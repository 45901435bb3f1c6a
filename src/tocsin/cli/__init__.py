"""The command line: asks the API, prints for people or for scripts. Has no rules of its own.

One file per command group, imported when that command is used; ``tocsin --help`` imports none of them.
"""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run ``tocsin`` with the process's arguments and return its exit code (see ``failure``)."""
    if sys.argv[1:2] == ["up"]:
        # A wish to reload that comes while everything is still being imported waits, instead of ending it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    from tocsin.cli.root import run

    return run()
