"""An HTTP service with one instance or many: who is well, restart one that is not, a certificate that ends.

A target is one instance: ``{http: {at: http://web-1:8080/health, restart: [systemctl, restart, web]}}``; the service's
other http targets are its fellows. Certificates need the extra ``http`` (``pip install 'tocsin[http]'``).
"""

from __future__ import annotations

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library import commands
from tocsin.library.described import Refused, Trouble, described
from tocsin.library.outgoing import ask, connected
from tocsin.library.ssh import Reach
from tocsin.playbooks.language import Span, Target, fix, look

if TYPE_CHECKING:
    from cryptography.x509 import Certificate as Parsed

WARM = ("cryptography.x509",)
AT_ONCE = 16
MOST_FILE = 256 * 1024
_EXAMPLE = "{http: {at: 'http://web-1:8080/health'}}"


class Place(Struct, frozen=True):
    """Where an instance says that it is well. ``basic``: what signs in there is ``user:password``, not a token."""

    at: str
    basic: bool = False


class Where(Place, frozen=True):
    """What the plan says of an instance. ``fellows``: the service's other instances, by target's name. ``secrets``:
    ``token`` signs in at it, ``at NAME`` at a fellow, ``key`` at the machine it is ``on``.
    """

    fellows: dict[str, Place] = {}
    certificate: str = ""
    restart: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    on: Reach | None = None
    secrets: dict[str, str] = {}


class Instance(Target, frozen=True):
    """One instance of an HTTP service."""

    kind: ClassVar[str] = "http"

    @property
    def where(self) -> Where:
        """What the plan says of it. Raises ValueError for anything else."""
        return described(self, Where, _EXAMPLE)


# -- health ------------------------------------------------------------------------------------------------------------


class Health(Struct, frozen=True):
    """Whether an instance is well: it answered 2xx in time. ``status`` 0: it did not answer."""

    well: bool
    status: int
    took_ms: float
    why: str = ""

    def __str__(self) -> str:
        return f"it answered {self.status} within {self.took_ms:.0f} ms" if self.status else f"no answer: {self.why}"


@look
def health(instance: Instance, *, within: Span = "2s") -> Health:
    """Whether it is well."""
    where = instance.where
    return _health(where, where.secrets.get("token", ""), within)


class Group(Struct, frozen=True):
    """All instances of the service, by target's name: who is well, and who is not and why."""

    well: tuple[str, ...]
    unwell: dict[str, str]

    def __str__(self) -> str:
        bad = "; ".join(f"{name}: {why}" for name, why in list(self.unwell.items())[:5])
        return f"{len(self.well)} of {len(self.well) + len(self.unwell)} are well" + (f"; {bad}" if bad else "")


@look
def group(instance: Instance, *, within: Span = "2s") -> Group:
    """How the instance and its fellows are."""
    return _group(instance.name, instance.where, within)


@look
def is_well(instance: Instance, *, least_well: int = 1, within: Span = "2s") -> bool:
    """Whether it is well: what ``restart`` is for."""
    return bool(health.function(instance, within=within).well)


@fix(probe=is_well, says="restart {instance} with the plan's command", undo="it cannot be: what it was at is lost")
def restart(instance: Instance, *, least_well: int = 1, within: Span = "2s") -> str:
    """Restart it with the plan's command, unless it is well by now, and while others are.

    It is looked at again first. One that is well is left alone. Where it has fellows, at least ``least_well`` of them
    must be well: when all are ill, the cause lies elsewhere. Raises Trouble otherwise, and when the command fails.
    """
    where = instance.where
    if not where.restart:
        raise Refused(f"the plan does not say how {instance.name} is restarted: add restart: [...]")
    found = _group(instance.name, where, within)
    if instance.name in found.well:
        return "it is well by now, and was left alone"
    if where.fellows and len(found.well) < min(least_well, len(where.fellows)):
        raise Refused(f"only {len(found.well)} of its fellows are well, so the cause lies elsewhere: {found}")
    commands.succeed(where.restart, where.on, where.secrets)
    return f"{where.restart[0]} was run"


def _health(place: Place, token: str, within: str) -> Health:
    answer = ask("GET", place.at, token=token, basic=place.basic, within=parse_duration(within) / SECOND)
    if answer.why:
        return Health(False, 0, answer.took_ms, answer.why)
    return Health(200 <= answer.status < 300, answer.status, answer.took_ms)


def _group(name: str, where: Where, within: str) -> Group:
    places: dict[str, Place] = {name: where, **where.fellows}
    tokens = {key: where.secrets.get("token" if key == name else f"at {key}", "") for key in places}
    with ThreadPoolExecutor(min(AT_ONCE, len(places))) as pool:
        asked = {key: pool.submit(_health, place, tokens[key], within) for key, place in places.items()}
        found = {key: one.result() for key, one in asked.items()}
    well = tuple(key for key, one in found.items() if one.well)
    return Group(well, {key: str(one) for key, one in found.items() if not one.well})


# -- certificates ------------------------------------------------------------------------------------------------------


class Certificate(Struct, frozen=True):
    """The certificate that is served, and the one in the file. ``*_until``: when it ends, seconds since 1970; 0: there
    is none. ``served``, ``in_file``: which one, 16 hex digits. ``days_left`` of the one that is served.
    """

    served: str
    served_until: int
    in_file: str
    in_file_until: int
    days_left: float
    names: tuple[str, ...] = ()
    why: str = ""

    @property
    def newer_in_file(self) -> bool:
        """The file has one that ends later than what is served: it only has to be taken up."""
        return self.in_file_until > self.served_until

    def __str__(self) -> str:
        served = f"what it serves ends {_day(self.served_until)}, in {self.days_left:.1f} days"
        file = f"; in its file is one that ends {_day(self.in_file_until)}" if self.in_file_until else ""
        return served + (file if self.in_file != self.served else "") + (f"; {self.why}" if self.why else "")


@look
def certificate(instance: Instance, *, within: Span = "5s") -> Certificate:
    """The certificate it serves now, whether anybody would accept it or not, and the one in its file.

    Raises Trouble when it serves none.
    """
    where = instance.where
    served = _served(where.at, parse_duration(within) / SECOND)
    file, why = _in_file(where)
    left = served.not_valid_after_utc - datetime.now(UTC)  # noqa: TID251  # a step is the world outside
    return Certificate(
        served=_mark(served),
        served_until=int(served.not_valid_after_utc.timestamp()),
        in_file=_mark(file) if file else "",
        in_file_until=int(file.not_valid_after_utc.timestamp()) if file else 0,
        days_left=round(left / timedelta(days=1), 2),
        names=_names(served),
        why=why,
    )


@look
def serves_another(instance: Instance, served: str) -> bool:
    """Whether it serves another certificate than this one."""
    return _mark(_served(instance.where.at, 5.0)) != served


@fix(
    probe=serves_another,
    says="have {instance} serve a newer certificate",
    undo="put the former certificate back and reload",
)
def renew_certificate(instance: Instance, served: str) -> str:
    """Have it serve a newer certificate: run the plan's ``renew`` unless its file has one that ends later, then
    ``reload``.

    ``served``: the one that was looked at; when it serves another by now nothing is done. Raises Trouble, and reloads
    nothing, when the file has none that ends later after all; and when all that is to do is a ``reload`` that the plan
    does not have.
    """
    where = instance.where
    now = _served(where.at, 5.0)
    if _mark(now) != served:
        return "it serves another one already"
    done: list[str] = []
    file, why = _in_file(where)
    if file is None or file.not_valid_after_utc <= now.not_valid_after_utc:
        if not where.renew:
            raise Refused(f"the plan does not say how a new one is made: add renew: [...] ({why or 'its file is old'})")
        commands.succeed(where.renew, where.on, where.secrets, within="5m")
        done.append(where.renew[0])
        file, why = _in_file(where)
    elif not where.reload:
        raise Refused("its file has a newer one, and the plan does not say how it is taken up: add reload: [...]")
    if where.certificate and (file is None or file.not_valid_after_utc <= now.not_valid_after_utc):
        raise Trouble(f"after {done[0]} its file has none that ends later: {why or _day(_end(file))}")
    if where.reload:
        commands.succeed(where.reload, where.on, where.secrets)
        done.append(where.reload[0])
    return f"{' and '.join(done)} {'was' if len(done) == 1 else 'were'} run"


def _served(url: str, within: float) -> Parsed:
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise Trouble(f"{url} has no certificate: it is not https")
    host = parts.hostname or ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # one that nobody accepts is what is looked for
    until = time.monotonic() + within
    try:
        with connected(host, parts.port or 443, within) as plain:
            plain.settimeout(max(0.1, until - time.monotonic()))
            with context.wrap_socket(plain, server_hostname=host) as line:
                raw = line.getpeercert(binary_form=True)
    except OSError as error:
        raise Trouble(f"no secure connection came about: {error}") from None
    if not raw:
        raise Trouble("it shows no certificate")
    found: Parsed = _x509().load_der_x509_certificate(raw)
    return found


def _in_file(where: Where) -> tuple[Parsed | None, str]:
    """The first certificate of its file, and why there is none."""
    if not where.certificate:
        return None, ""
    try:
        if where.on is None:
            with Path(where.certificate).open("rb") as file:
                text = file.read(MOST_FILE)
        else:
            said = commands.succeed(("cat", where.certificate), where.on, where.secrets, within="10s")
            text = said.out.encode()
        return _x509().load_pem_x509_certificate(text), ""
    except OSError as error:
        return None, f"its file cannot be read: {error.strerror}"
    except Trouble as error:
        return None, f"its file cannot be read: {error}"
    except ValueError:
        return None, "its file holds no certificate"


def _x509() -> Any:
    try:
        from cryptography import x509
    except ImportError:
        raise Trouble("certificates cannot be read here: pip install 'tocsin[http]'") from None
    return x509


def _names(served: Parsed) -> tuple[str, ...]:
    x509 = _x509()
    with suppress(x509.ExtensionNotFound, ValueError):
        names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(str(one) for one in names.get_values_for_type(x509.DNSName))[:20]
    return ()


def _mark(one: Parsed) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256

    return one.fingerprint(SHA256()).hex()[:16]


def _end(one: Parsed | None) -> int:
    return int(one.not_valid_after_utc.timestamp()) if one else 0


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds else "never"
