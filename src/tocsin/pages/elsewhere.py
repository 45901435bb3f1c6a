"""Where addresses that people add themselves may lead: to other machines, and never to where nothing is sent.

What listens on Tocsin's own machine takes whoever comes from there for its administrator; only the plan, which
administrators write, leads there (decision 117).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import unquote, urlsplit

NEVER = "to a link-local, metadata, multicast or reserved address nothing is ever sent"
HERE = "that is the machine Tocsin runs on: only the plan sends pages there, as a person's `webhook`"


def refusal(url: str, beside: str = "") -> str:
    """Why nothing is sent to a URL that somebody added, or "". ``beside``: the beginning of those on this machine that
    the plan allows.
    """
    host = _as_asked(urlsplit(url).hostname or "")
    if _never_sent_to(host):
        return NEVER
    if _this_machine(host) and not (beside and url.startswith(f"{beside.rstrip('/')}/")):
        return HERE
    return ""


_LOOPBACKS = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_PART = re.compile(r"0x[0-9a-f]{1,8}|0[0-7]{0,11}|[1-9][0-9]{0,9}")


def _as_asked(host: str) -> str:
    """A host as it is asked for: full stops of other scripts separate, wide letters and digits are the plain ones."""
    plain = unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".")
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")


def _this_machine(host: str) -> bool:
    """Whether a host is written as Tocsin's own machine. What else listens there expects its administrator alone."""
    name = host.rstrip(".").lower()
    if name in _LOOPBACKS or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return (short := _short_ipv4(name)) is not None and short.is_loopback
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        carried = address.ipv4_mapped or (ipaddress.IPv4Address(int(address)) if int(address) >> 32 == 0 else None)
        return carried is not None and carried.is_loopback
    return address.is_loopback


def _short_ipv4(name: str) -> ipaddress.IPv4Address | None:
    """What resolvers take for an IPv4 address though it is not written as one: ``127.1``, ``0x7f.1``, ``2130706433``.

    The last part fills what the others leave; None when it is none.
    """
    parts = name.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    numbers = [int(part, 16 if part.startswith("0x") else 8 if part.startswith("0") else 10) for part in parts]
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return ipaddress.IPv4Address(sum(number << (24 - 8 * at) for at, number in enumerate(first)) + last)


def _never_sent_to(host: str) -> bool:
    """Whether a host is written as an address that is surely refused. The guard of connections has the last word."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    reserved = address.version == 4 and address.is_reserved
    return address.is_link_local or address.is_multicast or address.is_unspecified or reserved
