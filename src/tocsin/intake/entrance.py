"""One way monitors come in by: which address, where their key lies, and what one pastes into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple


class InBody(NamedTuple):
    """A key that lies in the body: how to find it, and the body without it, which is what is kept.

    ``find`` is given whatever anybody sends, on the event loop: it makes nothing of it. ``hide`` is for known keys.
    """

    find: Callable[[bytes], str | None]
    hide: Callable[[bytes], bytes]


class Entrance(NamedTuple):
    """One way in.

    ``name`` and ``about`` tell people what sends by it, ``where`` whither the lines of ``snippet`` go.
    ``key``: where senders carry it: ``path`` right after ``prefix``, ``header`` (as a bearer, or in the path as well),
    or in the body, whence the core takes it before the request is kept.
    ``paths``: what may follow the key, or without one all there is; () anything. Elsewhere below ``prefix`` the faces
    answer. ``methods``: by which it is called; () any.
    ``snippet``: lines to paste, from the address with the key in it and the key.
    """

    name: str
    about: str
    where: str
    prefix: str
    key: Literal["path", "header"] | InBody
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    snippet: Callable[[str, str], str]

    def read(self, path: str) -> tuple[str, str] | None:
        """The key in a path below ("" where it has none) and what follows it; None when that path is not of this way.

        >>> from tocsin.intake.sources.heartbeat import ENTRANCE
        >>> ENTRANCE.read("/ping/abc/start")
        ('abc', '/start')
        """
        if self.key == "path":
            if not self.below(path):
                return None
            key, _, rest = path[len(self.prefix) + 1 :].partition("/")
            plain = _plain("/" + rest)
            return (key, plain) if plain in self.paths else (key, "/" + rest) if not self.paths else None
        if _plain(path) in self.paths:
            return "", _plain(path)
        if self.key == "header" and self.below(path):
            return path[len(self.prefix) + 1 :], self.prefix
        return None

    def below(self, path: str) -> bool:
        """Whether a path lies below the prefix."""
        return path.startswith(self.prefix + "/")

    def url(self, base: str, key: str) -> str:
        """Where senders with a key post to. ``base`` has no slash at its end."""
        return base + self.prefix + ("" if isinstance(self.key, InBody) else f"/{key}")


def _plain(path: str) -> str:
    """A path without the slash some senders put at its end."""
    return path.rstrip("/") if len(path) > 1 else path
