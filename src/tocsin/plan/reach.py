"""Systems that are reached from here: by SSH, HTTP, systemctl, sockets of HAProxy and supervisor, a dial. As plans say.

What is no secret stands in the plan, where a reviewer sees it: the address, whose host key is believed, which commands
may be run, between which bounds. A target's ``look with`` and ``fix with`` name the secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from tocsin.notation.decoder import Choice, Field, ListOf, Record, Unfit, Word
from tocsin.notation.findings import Findings
from tocsin.notation.words import NAME, PATH, SWITCH, TEXT, URL, whole
from tocsin.plan.words import REFERENCE
from tocsin.playbooks.targets import here, said

_STRING = {"type": "string"}


def _text(text: str) -> str:
    return text


def _socket(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not text.startswith("/") and not (host and 0 < int(port) < 65_536):
        raise Unfit(f"{text} is no socket", "write /run/haproxy/admin.sock, or host:port")
    return text


HOST = Word("a host", _text, pattern=r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,252}|[0-9A-Fa-f:]{2,45}", also=_STRING)
HOST_KEY = Word(
    "a host key",
    _text,
    pattern=r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{40,2000}={0,2}( [^\x00-\x1f]*)?",
    write="write its kind and key, such as ssh-ed25519 AAAA…: what ssh-keyscan shows, once you have checked it",
    also=_STRING,
)
SOCKET = Word("a socket", _socket, pattern=r"/[^\x00-\x1f]{1,200}|[^\s/:]{1,253}:[0-9]{1,5}", also=_STRING)
SLOT = Word(
    "a server of HAProxy",
    _text,
    pattern=r"[A-Za-z0-9_.:\-]{1,100}/[A-Za-z0-9_.:\-]{1,100}",
    write="write backend/server as HAProxy's configuration calls them",
    also=_STRING,
)
SOCKET_OR_URL = Word(
    "a socket or a URL",
    _text,
    pattern=r"/[^\x00-\x1f]{1,200}|http://[^\s/@]{1,253}(/[^\s@]{0,500})?",
    write="write /run/supervisor.sock, or http://host:9001; who signs in stands in user",
    also=_STRING,
)
UNIT = Word(
    "a service of systemd",
    _text,
    pattern=r"[A-Za-z0-9_][A-Za-z0-9:_.\\@\-]{0,200}\.service",
    write="write payments.service, as systemctl shows it",
    also=_STRING,
)
PORT = whole("a port", 1, 65_535)
AMOUNT = whole("an amount", 0, 1_000_000)
COMMAND = ListOf(TEXT, "words", at_least=1, at_most=50)


class Ssh(Record):
    """A machine reached by SSH."""

    what = "a machine reached by SSH"
    host = Field(HOST, "Its name or address.", required=True)
    port = Field(PORT, "Default: 22.")
    user = Field(NAME, "Who looks there.", required=True)
    fix_as = Field(NAME, "Who changes things there. Default: who looks.")
    host_key = Field(
        ListOf(HOST_KEY, "host keys", at_least=1, at_most=10, single=True),
        "The keys the machine may show. Any other is refused: none is believed because it came first.",
        required=True,
    )


class Http(Record):
    """One instance of an HTTP service. The other http targets of the service are its fellows."""

    what = "an instance of an HTTP service"
    url = Field(URL, "Where it says that it is well: an address that answers 2xx then.", required=True, key="at")
    sign_in = Field(Choice("a way to sign in", "bearer", "basic"), "What the secrets are. Default: bearer.")
    restart = Field(COMMAND, "How it is restarted, in words. Without it it is only looked at.")
    certificate = Field(PATH, "The file its certificate lies in.")
    renew = Field(COMMAND, "What makes a new certificate in that file, in words.")
    reload = Field(COMMAND, "What has it serve the file's certificate, in words.")
    on = Field(REFERENCE, "The ssh target on which the file lies and commands are run. Default: where Tocsin runs.")


class Haproxy(Record):
    """One server behind HAProxy."""

    what = "a server behind HAProxy"
    socket = Field(SOCKET, "Its runtime socket, level admin to change it: path or host:port.", required=True)
    server = Field(SLOT, "backend/server.", required=True)
    drain = Field(SWITCH, "on: it may be taken out and put back.")
    least = Field(AMOUNT, "How few connections at once it may be limited to.")
    usual = Field(AMOUNT, "Its limit when all is well, as HAProxy's configuration says (maxconn).")


class Supervised(Record):
    """A program that supervisor runs."""

    what = "a program under supervisor"
    program = Field(TEXT, "Its name, or group:name, as supervisorctl status shows it.", required=True)
    url = Field(SOCKET_OR_URL, "supervisor's socket, or the URL of its HTTP server.", required=True, key="at")
    user = Field(NAME, "Who signs in; the secrets are passwords then.")
    restart = Field(SWITCH, "on: it may be restarted.")


class Systemd(Record):
    """A service that systemd runs."""

    what = "a service of systemd"
    unit = Field(UNIT, "Its unit, such as payments.service.", required=True)
    restart = Field(SWITCH, "on: it may be restarted.")
    manager = Field(PATH, "The runtime folder of a user's own systemd, /run/user/1000. Default: the machine's systemd.")
    on = Field(REFERENCE, "The ssh target on which it runs. Default: where Tocsin runs.")


class Dial(Record):
    """A number that can be read and set, within bounds: replicas, workers, a limit."""

    what = "a dial"
    one_of = (("url", "read"),)
    together = {"read": "set", "set": "read"}
    url = Field(URL, "GET answers the number; PUT with the number as its body sets it.")
    sign_in = Field(Choice("a way to sign in", "bearer", "basic"), "What the secrets are. Default: bearer.")
    read = Field(COMMAND, "A command, in words, that prints the number.")
    set = Field(COMMAND, "A command, in words, that sets it; {value} in them is the number.")
    on = Field(REFERENCE, "The ssh target on which the commands are run. Default: where Tocsin runs.")
    least = Field(AMOUNT, "Never below.", required=True)
    most = Field(AMOUNT, "Never above.", required=True)
    usual = Field(AMOUNT, "Where it stands when all is well: the way back.", required=True)
    step = Field(AMOUNT, "By how much at once, at the most. Default: 1.")


_WHERE: Mapping[str, tuple[str, ...]] = {
    "process": ("pidfile",), "folder": ("folder",), "ssh": ("host", "port"), "http": ("at",),
    "haproxy": ("socket", "server"), "supervisor": ("at", "program"), "systemd": ("unit", "manager"),
    "dial": ("url", "read"),
}  # fmt: skip
"""By kind, what of a description says which system it is; the rest says what may be done there, and how."""


def system_of(kind: str, reading: str) -> str:
    """Which system the plan means that describes one so: the same for whoever may do what there, by whatever user.

    "" where nothing but a secret leads to it.
    """
    of_it = said(reading)
    if not of_it:
        return ""
    keys = _WHERE.get(kind, tuple(key for key in of_it if key not in ("secrets", "on")))
    machine = of_it.get("on")
    on = {"on": {"host": machine["host"], "port": machine["port"]}} if machine else {}
    return here({key: of_it.get(key) for key in keys} | on)


_MAY: Mapping[str, tuple[str, ...]] = {
    "process": ("restart",), "folder": ("delete", "rotate"), "ssh": ("user",),
    "http": ("restart", "renew", "reload", "certificate"), "haproxy": ("drain", "least", "usual"),
    "dial": ("set", "least", "usual", "most", "step"),
}  # fmt: skip
"""By kind, what of a description says what may be done there."""


def said_of(kind: str, reading: str, fixing: str, match: Iterable[object]) -> tuple[str, str]:
    """Digests of all that a plan says of a target, and of what may be done there. No secret is in them.

    Which instances are its fellows is theirs to say.
    """
    whole = [_own(one) for one in (reading, fixing)]
    may = {key: said(fixing).get(key) for key in _MAY.get(kind, ())} | {"fixes": bool(fixing)}
    return _digest([kind, *whole, sorted(map(str, match))]), _digest([kind, may])


def _own(reference: str) -> object:
    of_it = said(reference)
    if not of_it:
        return reference
    of_it.pop("fellows", None)
    of_it["secrets"] = {key: one for key, one in of_it.get("secrets", {}).items() if not key.startswith("at ")}
    return of_it


def _digest(what: object) -> str:
    return sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()[:12]


class Reached:
    """The two references of targets that are reached from here, looking and fixing; of all targets of one service."""

    def __init__(self, service: str, targets: Mapping[str, Any], findings: Findings) -> None:
        """``targets``: those that were written, by name."""
        self._service, self._targets, self._findings = service, targets, findings

    def reference(self, name: str, said: Any) -> tuple[str, str, str] | None:
        """Kind, looking and fixing reference ("": nothing may be changed); None for a target of another kind."""
        for kind, make in (
            ("ssh", self._ssh), ("http", self._http), ("haproxy", self._haproxy),
            ("supervisor", self._supervised), ("systemd", self._systemd), ("dial", self._dial),
        ):  # fmt: skip
            record = getattr(said, kind)
            if record is not None:
                looks, fixes = make(name, said, record)
                return kind, looks, fixes
        return None

    def there(self, there: Mapping[str, object], on: Any, *, fixing: bool) -> str:
        """The reference of what the plan describes and that lies on one of the service's ssh targets, or here."""
        return self._beside(there, {}, on, fixing=fixing)

    def _ssh(self, name: str, said: Any, one: Ssh) -> tuple[str, str]:
        there: dict[str, object] = {"host": one.host, "port": one.port or 22, "host_keys": one.host_key or ()}
        if not said.look_with:
            self._findings.error(one.at, f"{name} says no key to look with", "add look with: secret:NAME")
        looks = here(there | {"user": one.user}, {"key": said.look_with or ""})
        fixes = here(there | {"user": one.fix_as or one.user}, {"key": said.fix_with}) if said.fix_with else ""
        return looks, fixes

    def _http(self, name: str, said: Any, one: Http) -> tuple[str, str]:
        others = {key: other for key, other in self._targets.items() if key != name and other.http}
        fellows = {key: {"at": it.http.url, "basic": it.http.sign_in == "basic"} for key, it in others.items()}
        tokens = {f"at {key}": it.look_with for key, it in others.items() if it.look_with}
        there: dict[str, object] = {"at": one.url, "basic": one.sign_in == "basic", "fellows": fellows}
        there["certificate"] = one.certificate or ""
        may = {"restart": one.restart or (), "renew": one.renew or (), "reload": one.reload or ()}
        looks = self._with(there, said.look_with, one, tokens, fixing=False)
        if not any(may.values()):
            return looks, ""
        return looks, self._with(there | may, said.fix_with or said.look_with, one, tokens, fixing=True)

    def _haproxy(self, name: str, said: Any, one: Haproxy) -> tuple[str, str]:
        there: dict[str, object] = {"socket": one.socket, "server": one.server}
        may = {"drain": one.drain == "on", "least": one.least or 0, "usual": one.usual or 0}
        if (one.least is None) != (one.usual is None) or (one.least or 0) > (one.usual or 0):
            hint = "write both, least up to usual: {least: 20, usual: 200}"
            self._findings.error(one.at, f"{name} has no bounds to be limited between", hint)
        return here(there | may), here(there | may) if may["drain"] or one.usual else ""

    def _supervised(self, name: str, said: Any, one: Supervised) -> tuple[str, str]:
        there: dict[str, object] = {"at": one.url, "program": one.program, "user": one.user or ""}
        looks = here(there, {"password": said.look_with} if said.look_with else None)
        with_what = said.fix_with or said.look_with
        return looks, here(there, {"password": with_what} if with_what else None) if one.restart == "on" else ""

    def _systemd(self, name: str, said: Any, one: Systemd) -> tuple[str, str]:
        there: dict[str, object] = {"unit": one.unit, "manager": one.manager or ""}
        looks = self._with(there, None, one, {}, fixing=False)
        return looks, self._with(there, None, one, {}, fixing=True) if one.restart == "on" else ""

    def _dial(self, name: str, said: Any, one: Dial) -> tuple[str, str]:
        least, most, usual = one.least or 0, one.most or 0, one.usual or 0
        if not least <= usual <= most:
            hint = "usual lies between them: {least: 2, usual: 3, most: 10}"
            self._findings.error(one.at, f"the bounds of {name} are not least, usual, most", hint)
        if one.set and not any("{value}" in word for word in one.set):
            hint = "write {value} where the number goes: set: [kubectl, scale, deploy/web, '--replicas={value}']"
            self._findings.error(one.at, f"{name} is set by a command without {{value}}", hint)
        there: dict[str, object] = {"url": one.url or "", "basic": one.sign_in == "basic", "read": one.read or ()}
        there |= {"least": least, "most": most, "usual": usual, "step": one.step or 1}
        looks = self._with(there, said.look_with, one, {}, fixing=False)
        return looks, self._with(there | {"set": one.set or ()}, said.fix_with or said.look_with, one, {}, fixing=True)

    def _with(
        self,
        there: Mapping[str, object],
        token: str | None,
        one: Http | Dial | Systemd,
        more: Mapping[str, str],
        *,
        fixing: bool,
    ) -> str:
        """With what signs in, and with the machine its commands are run on."""
        return self._beside(there, {**more, **({"token": token} if token else {})}, one.on, fixing=fixing)

    def _beside(self, there: Mapping[str, object], secrets: dict[str, str], at: Any, *, fixing: bool) -> str:
        """With the machine that ``at`` names, and with what signs in there."""
        on: dict[str, object] = {}
        if at is not None:
            machine = self._targets.get(at.value)
            if machine is None or machine.ssh is None:
                there_are = [key for key, other in self._targets.items() if other.ssh]
                hint = self._findings.nearest(at.value, there_are) or "name one of the service's ssh targets"
                self._findings.error(at.at, f"{self._service} has no ssh target {at.value}", hint)
                return here(there)
            user = machine.ssh.fix_as if fixing and machine.ssh.fix_as else machine.ssh.user
            key = machine.fix_with if fixing else machine.look_with
            if not key:
                self._findings.error(at.at, f"{at.value} says no key to fix with", "add fix with: secret:NAME")
                return here(there)
            secrets["key"] = key
            on = {"on": {"host": machine.ssh.host, "port": machine.ssh.port or 22, "user": user,
                         "host_keys": machine.ssh.host_key or ()}}  # fmt: skip
        return here({**there, **on}, secrets)
