"""Probes as a plan writes them, and as they are looked at.

What probes receive (``ProbeSpec.target`` and ``ProbeSpec.options``, all texts; options the plan leaves out are absent):

========  =====================  ===========================================================================
kind      target                 options
========  =====================  ===========================================================================
http      the URL                ``status`` such as ``200-399`` or ``200,204``; ``body`` an RE2 pattern to be found;
                                 ``latency`` microseconds; ``certificate_days`` whole days that must be left
tcp       ``host:port``          none
process   a name or a pidfile    ``by``: ``name`` or ``pidfile``; ``memory_bytes``, the most it may hold
disk      an absolute path       one of ``used_percent`` such as ``90`` (when nothing is said) or ``97.5``;
                                 ``free_bytes``; ``folder_bytes``, the most its contents may take
redis     ``secret:NAME``        those that are judged: ``memory_percent``, ``clients_percent`` such as ``90``;
                                 ``persistence``: ``on``; ``follows``: ``any``, or the primary's ``host:port``
postgres  ``secret:NAME``        those that are judged: ``connections_percent``, ``wraparound_percent`` such as ``90``;
                                 ``oldest_seconds`` of a transaction; ``blocked`` sessions; ``behind_bytes`` and
                                 ``late_seconds`` of a standby; ``log_bytes``
peer      another Tocsin's URL   none
========  =====================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, format_duration
from tocsin.plan.decoder import Either, Field, Record, RecordOf
from tocsin.plan.findings import Findings, shown
from tocsin.plan.positions import Position
from tocsin.plan.severities import Severities
from tocsin.plan.words import (
    EVERY,
    FOLLOWED,
    HOST_PORT,
    LATENCY,
    NAME,
    PATH,
    PERCENT,
    PERIOD,
    PROCESS,
    REGEX,
    SECRET,
    SEVERITY,
    SIZE,
    STATUS,
    SWITCH,
    TIMEOUT,
    TITLE,
    URL,
    whole,
)

Looks = tuple[str, dict[str, str]]
"""Target and options, as the head of this file says."""


def _said(**options: str | int | None) -> dict[str, str]:
    """Options as texts, without those that were left out."""
    return {name: str(value) for name, value in options.items() if value is not None}


class Probe(Record):
    """What every probe can say."""

    what = "a probe"
    name = Field(NAME, "What the probe is called. Default: its kind and what it looks at.")
    title = Field(TITLE, "What its failure means to people, such as Cards cannot be charged. Default: what it found.")
    every = Field(EVERY, "How often it looks. Default: 30s.")
    timeout = Field(TIMEOUT, "How long it waits for an answer, never longer than `every`. Default: 5s.")
    failures = Field(whole("a number of failures", 1, 100), "How many failures in a row make an alert. Default: 2.")
    severity = Field(SEVERITY, "How grave a failure is, as a monitor would say it. Default: critical.")

    def looks_at(self, findings: Findings) -> Looks:
        """What it looks at, and how, as its check is told. Reports what does not go together."""
        raise NotImplementedError


class HttpProbe(Probe):
    """Asks a URL and judges the answer."""

    what = "an http probe"
    http = Field(URL, "The URL to ask for.", required=True)
    status = Field(STATUS, "Status codes that are well. Default: 200-399.")
    body = Field(REGEX, "A regular expression (RE2) that the body must contain.")
    latency = Field(LATENCY, "An answer that takes longer is a failure.")
    certificate_days = Field(whole("a number of days", 1, 3650), "How many days its certificate must be good for.")

    def looks_at(self, findings: Findings) -> Looks:
        """A URL, and what of the answer is judged."""
        url, days = self.http or "", self.certificate_days
        if days is not None and url and not url.lower().startswith("https:"):
            findings.error(self.where("certificate days"), "only https:// has a certificate")
        return url, _said(status=self.status, body=self.body, latency=self.latency, certificate_days=days)


class TcpProbe(Probe):
    """Opens a connection and closes it again."""

    what = "a tcp probe"
    tcp = Field(HOST_PORT, "The host:port to connect to.", required=True)

    def looks_at(self, findings: Findings) -> Looks:
        """A host and a port."""
        return self.tcp or "", {}


class Pidfile(Record):
    """A file that holds the number of a process."""

    what = "a mapping with the key pidfile"
    pidfile = Field(PATH, "Its absolute path.", required=True)


class ProcessProbe(Probe):
    """Looks whether a process runs on this machine, and how much memory it holds."""

    what = "a process probe"
    process = Field(Either(PROCESS, RecordOf(Pidfile)), "The process' name, or {pidfile: /run/it.pid}.", required=True)
    memory = Field(SIZE, "Holding more memory than this is a failure, such as 2GB; of several, any of them.")

    def looks_at(self, findings: Findings) -> Looks:
        """A name or a file."""
        process = self.process
        if isinstance(process, Pidfile):
            return process.pidfile or "", _said(by="pidfile", memory_bytes=self.memory)
        return process or "", _said(by="name", memory_bytes=self.memory)


class DiskProbe(Probe):
    """Looks how full the file system of a path is."""

    what = "a disk probe"
    exclusive = (("used", "free", "contents"),)
    disk = Field(PATH, "An absolute path on the disk to watch.", required=True)
    used = Field(PERCENT, "Used this much or more is a failure. Default: 90%.")
    free = Field(SIZE, "Less free than this is a failure, such as 2GB.")
    contents = Field(SIZE, "The folder holding more than this is a failure, such as 500MB.")

    def looks_at(self, findings: Findings) -> Looks:
        """A path, and one of the three things that can be too much or too little."""
        said = _said(free_bytes=self.free) or _said(folder_bytes=self.contents)
        return self.disk or "", said or {"used_percent": self.used or "90"}


class RedisProbe(Probe):
    """Asks a Redis or Valkey server for its memory, its clients, what it saves and whom it follows."""

    what = "a redis probe"
    redis = Field(SECRET, "The address it is read by, as secret:NAME.", required=True)
    memory = Field(PERCENT, "This much or more of its memory's limit is a failure. Default: 90%, if nothing is said.")
    clients = Field(PERCENT, "This much or more of its maxclients is. Default: 90%, if nothing is said.")
    persistence = Field(SWITCH, "on: a snapshot or log that was not written is. Default: on, if nothing is said.")
    follows = Field(FOLLOWED, "It is a replica; following nobody, another than this host:port, or in vain is.")

    def looks_at(self, findings: Findings) -> Looks:
        """An address, and what is said to be judged, or what keeps every server from taking writes."""
        said = _said(
            memory_percent=self.memory,
            clients_percent=self.clients,
            persistence=self.persistence,
            follows=self.follows,
        )
        return self.redis or "", said or {"memory_percent": "90", "clients_percent": "90", "persistence": "on"}


class PostgresProbe(Probe):
    """Asks a PostgreSQL server for its connections, transactions and locks, its standbys and its log."""

    what = "a postgres probe"
    postgres = Field(SECRET, "The address it is read by, as secret:NAME.", required=True)
    connections = Field(PERCENT, "This much or more of its connections is a failure. Default: 90%, if nothing is said.")
    wraparound = Field(PERCENT, "This much or more of its transaction ids is. Default: 50%, if nothing is said.")
    oldest_transaction = Field(PERIOD, "A transaction that has been open for so long is a failure.")
    blocked = Field(whole("a number of sessions", 1, 10_000), "So many sessions that wait for a lock are a failure.")
    behind = Field(SIZE, "A standby that has more to replay than this is one, or hears nothing of its primary.")
    late = Field(PERIOD, "A standby that replays what is older than this is one, or hears nothing of its primary.")
    log = Field(SIZE, "More write-ahead log on its disk than this is a failure, such as 20GB.")

    def looks_at(self, findings: Findings) -> Looks:
        """An address, and what is said to be judged, or what every server must not run out of."""
        oldest, late = self.oldest_transaction, self.late
        said = _said(
            connections_percent=self.connections,
            wraparound_percent=self.wraparound,
            oldest_seconds=None if oldest is None else f"{oldest / SECOND:g}",
            blocked=self.blocked,
            behind_bytes=self.behind,
            late_seconds=None if late is None else f"{late / SECOND:g}",
            log_bytes=self.log,
        )
        return self.postgres or "", said or {"connections_percent": "90", "wraparound_percent": "50"}


class PeerProbe(Probe):
    """Asks another Tocsin whether it is well."""

    what = "a peer probe"
    peer = Field(URL, "The other Tocsin's address; its /readyz is asked.", required=True)

    def looks_at(self, findings: Findings) -> Looks:
        """A URL."""
        return self.peer or "", {}


PROBES: Final[dict[str, type[Probe]]] = {
    "http": HttpProbe,
    "tcp": TcpProbe,
    "process": ProcessProbe,
    "disk": DiskProbe,
    "redis": RedisProbe,
    "postgres": PostgresProbe,
    "peer": PeerProbe,
}
KINDS: Final = {record: kind for kind, record in PROBES.items()}
LATER: Final = frozenset(
    {"postgresql", "mysql", "rabbitmq", "kafka"}
    | {"dns", "icmp", "ping", "certificate", "grpc", "sqs", "lambda", "command"}
)
"""Kinds that are designed and not in this version."""


def read_probes(
    service: str, probes: Sequence[Probe], severities: Severities, findings: Findings
) -> Iterator[ProbeSpec]:
    """What one service has looked at, defaults filled in."""
    places: dict[str, Position] = {}
    for probe in probes:
        kind = KINDS[type(probe)]
        target, options = probe.looks_at(findings)
        called = probe.name or _default_name(kind, target)
        at = probe.where("name")
        first = places.setdefault(called, at)
        if first != at:
            message = f"{service} has two probes called {shown(called)}; the first is {first.seen_from(at)}"
            findings.error(at, message, "give one of them a name")
        every = 30 * SECOND if probe.every is None else probe.every
        timeout = min(5 * SECOND, every) if probe.timeout is None else probe.timeout
        if timeout > every:
            message = f"the probe waits {format_duration(timeout)} but looks every {format_duration(every)}"
            findings.error(probe.where("timeout"), message, "timeout is never longer than every")
        if isinstance(probe, HttpProbe) and (probe.latency or 0) > timeout:
            message = f"an answer later than {format_duration(timeout)} has failed already"
            findings.error(probe.where("latency"), message, "latency is never longer than timeout")
        yield ProbeSpec(
            service=service,
            name=called,
            kind=kind,
            target=target,
            every=every,
            timeout=timeout,
            failures=probe.failures or 2,
            severity=severities.known(probe.severity),
            title=probe.title or "",
            options=options,
        )


def _default_name(kind: str, target: str) -> str:
    """What a probe is called that nobody named. A query may hold a token, so it stays out."""
    if kind in ("http", "peer"):
        parts = urlsplit(target)
        return f"{kind} {parts.netloc}{parts.path}".rstrip("/")
    return f"{kind} {target.removeprefix('secret:')}"
