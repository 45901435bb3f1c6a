"""Asking a server by its client's library, once: what may go wrong with that is said alike for every kind of server."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import NamedTuple, TypeVar

from tocsin.intake.checked import Checked
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND
from tocsin.kernel.outside import Outside

T = TypeVar("T")


class Client(NamedTuple):
    """A kind of server: what people call it, and what is said when its client's package is not there."""

    called: str
    missing: str

    def named(self, spec: ProbeSpec) -> str:
        """The server a probe looks at, as its sentences name it."""
        return f"{self.called} {spec.target.removeprefix('secret:')}"


async def asked(
    client: Client,
    spec: ProbeSpec,
    outside: Outside,
    address: Callable[[], str],
    ask: Callable[[str, float, Set[str]], T],
    refused: Callable[[Exception], str] = lambda error: f"did not answer: {type(error).__name__}",
    what: Set[str] = frozenset(),
) -> T | Checked:
    """What ``ask`` answers, given the address, the seconds it may take and ``what`` is asked for; else the failed look
    that says why not. It is given nothing more of the probe: others that ask the same meanwhile share its answer.

    ``address`` raises LookupError where there is none. ``refused`` words what the client's library raises.
    """
    name, within = client.named(spec), spec.timeout / SECOND
    try:
        where = address()
        same = f"{spec.kind} {spec.target} {within:g} {' '.join(sorted(what))}".rstrip()
        return await outside.aside(same, lambda: ask(where, within, what), within=within)
    except LookupError as error:
        return Checked(False, f"{name} cannot be asked: {error.args[0]}")
    except ImportError:
        return Checked(False, f"{name} cannot be asked: {client.missing}")
    except TimeoutError:
        return Checked(False, f"{name} did not answer within {within:g} s")
    except Exception as error:  # noqa: BLE001  # the client's own, whatever they are called; none shows its password
        return Checked(False, f"{name} {refused(error)}")
