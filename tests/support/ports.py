"""Free loopback ports, picked so that parallel test workers and passing connections don't collide."""

from __future__ import annotations

import os
import random
import socket

# Below the kernel's ephemeral range (32768 and up on Linux), so no outgoing connection can be given a port
# between our finding it free and the server's binding it.
_FIRST, _LAST = 15000, 32000
_handed_out: set[int] = set()
_random = random.Random(os.getpid())


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on; never the same one twice in a test process."""
    for _ in range(1000):
        port = _random.randrange(_FIRST, _LAST)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise RuntimeError(f"no free port between {_FIRST} and {_LAST}")
