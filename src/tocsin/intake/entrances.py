"""How monitors come in: by which address, where their key lies, and what one pastes into them.

One entry for each source that keys can be made for; whatever else has to know of sources reads it here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

Kind = Literal["alertmanager", "pagerduty", "events", "heartbeat"]
"""The sources keys are made for, by name."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Entrance(NamedTuple):
    """One way in.

    ``name`` and ``about`` tell people what sends by it, ``where`` whither the lines of ``snippet`` go.
    ``key``: where senders carry it: ``path`` right after ``prefix``, ``header`` (as a bearer, or in the path as well),
    or ``body``, whence the core takes it before the request is kept.
    ``paths``: what may follow the key, or without one all there is; () anything. Elsewhere below ``prefix`` the faces
    answer. ``methods``: by which it is called; () any.
    ``snippet``: lines to paste, from the address with the key in it and the key.
    """

    name: str
    about: str
    where: str
    prefix: str
    key: Literal["path", "header", "body"]
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    snippet: Callable[[str, str], str]

    def read(self, path: str) -> tuple[str, str] | None:
        """The key in a path below ("" where it has none) and what follows it; None when that path is not of this way.

        >>> ENTRANCES["heartbeat"].read("/ping/abc/start")
        ('abc', '/start')
        """
        if self.key == "path":
            if not path.startswith(self.prefix + "/"):
                return None
            key, _, rest = path[len(self.prefix) + 1 :].partition("/")
            return (key, "/" + rest) if not self.paths or "/" + rest in self.paths else None
        if path in self.paths:
            return "", path
        if self.key == "header" and path.startswith(self.prefix + "/"):
            return path[len(self.prefix) + 1 :], self.prefix
        return None


def _alertmanager(url: str, _key: str) -> str:
    parts = urlsplit(url)
    return (
        "alerting:\n  alertmanagers:\n"
        f"    - scheme: {parts.scheme}\n      path_prefix: {parts.path}\n"
        f"      static_configs:\n        - targets: ['{parts.netloc}']\n"
    )


def _pagerduty(url: str, key: str) -> str:
    return (
        f"address:      {url}\nrouting key:  {key}\n\n# to try it\n"
        f"curl -fsS -H 'Content-Type: application/json' {url} -d '"
        f'{{"routing_key": "{key}", "event_action": "trigger", "dedup_key": "try",\n'
        '  "payload": {"summary": "A test", "source": "curl", "severity": "info"}}\'\n'
    )


def _events(url: str, _key: str) -> str:
    return (
        f"curl -fsS -H 'Content-Type: application/json' {url} \\\n  -d '"
        '{"title": "Backup failed", "key": "backup/db1", "severity": "critical"}\'\n'
    )


def _heartbeat(url: str, _key: str) -> str:
    return (
        "# crontab: a sign of life after each success\n"
        f"0 3 * * *  /usr/local/bin/backup && curl -fsS -m 10 --retry 5 -o /dev/null {url}\n"
    )


ENTRANCES: Final[dict[str, Entrance]] = {
    "alertmanager": Entrance(
        name="Prometheus",
        about="Prometheus sends to Tocsin as if it were an Alertmanager; amtool works too.",
        where="Into prometheus.yml, beside or instead of what stands under alerting: now. Then reload it.",
        prefix="/am",
        key="path",
        paths=("/api/v2/alerts",),
        methods=("POST",),
        snippet=_alertmanager,
    ),
    "pagerduty": Entrance(
        name="PagerDuty events",
        about="Anything that can send PagerDuty Events v2: only the address and the key change.",
        where="Wherever the tool asks for a routing (integration) key and the address of the events API.",
        prefix="/v2/enqueue",
        key="body",
        paths=("/v2/enqueue", "/v2/change/enqueue"),
        methods=(),
        snippet=_pagerduty,
    ),
    "events": Entrance(
        name="Plain HTTP",
        about="One POST with curl, a script or a webhook.",
        where="Into a script, or anything that can send a POST.",
        prefix="/api/events",
        key="header",
        paths=("/api/events",),
        methods=(),
        snippet=_events,
    ),
    "heartbeat": Entrance(
        name="Heartbeat",
        about="A job calls an address when it is well; silence becomes an alert.",
        where="At the end of the job, or in its crontab line.",
        prefix="/ping",
        key="path",
        paths=(),
        methods=(),
        snippet=_heartbeat,
    ),
}
assert tuple(ENTRANCES) == KINDS, "each kind has its entrance"

WHERE: Final = {kind: entrance.where for kind, entrance in ENTRANCES.items()}
"""Where the lines of a snippet go."""
NAMES: Final = {kind: entrance.name for kind, entrance in ENTRANCES.items()} | {"trigger": "Trigger of a playbook"}
"""What people call the kinds of keys."""


def _of(source: str) -> Entrance:
    """The command line may be older than its server: a kind it does not know is worded as plain HTTP."""
    return ENTRANCES.get(source, ENTRANCES["events"])


def sender_url(base: str, source: str, key: str) -> str:
    """Where a source's senders post to. ``base`` has no slash at its end."""
    entrance = _of(source)
    return base + entrance.prefix + ("" if entrance.key == "body" else f"/{key}")


def snippet(source: str, public_url: str, key: str) -> str:
    """Lines to paste into the sender, or to run in a shell."""
    return _of(source).snippet(sender_url(public_url.rstrip("/"), source, key), key)


def door(method: str, path: str) -> str | None:
    """The source whose way in an address is; None when no monitor calls it."""
    for kind, entrance in ENTRANCES.items():
        if entrance.read(path) is not None and (not entrance.methods or method in entrance.methods):
            return kind
    return None
