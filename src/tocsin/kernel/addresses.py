"""Addresses that nothing here has business with, whoever asks: metadata of clouds, link-local, multicast, reserved."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # "this network": connecting to it reaches the machine itself
            "169.254.0.0/16",  # link-local, and where most clouds keep their metadata
            "100.100.100.200/32",  # Alibaba's metadata
            "168.63.129.16/32",  # Azure's host
            "192.0.0.192/32",  # Oracle's metadata
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and the broadcast address
            "::/128",
            "fe80::/10",
            "fec0::/10",
            "fd00:ec2::254/128",  # Amazon's metadata
            "fd20:ce::254/128",  # Google's metadata
            "ff00::/8",
        ),
    )
)
_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "fc00::/7", "::1/128"),
    )
)
_CARRY_IPV4 = ipaddress.ip_network("64:ff9b::/96")  # NAT64


def refusal(address: str, *, deny_private: bool = False) -> str:
    """Why this address may not be connected to, or "". An IPv4 address inside an IPv6 one is looked at as well."""
    try:
        outer: Address = ipaddress.ip_address(address)
    except ValueError:
        return f"{address} is not an address"
    for one in _with_carried(outer):
        if any(one in network for network in _NEVER if network.version == one.version):
            return f"{address} is a link-local, metadata, multicast or reserved address"
        if deny_private and any(one in network for network in _PRIVATE if network.version == one.version):
            return f"{address} is a private address, and these are not allowed here"
    return ""


def _with_carried(address: Address) -> Iterator[Address]:
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if carried is None and (address in _CARRY_IPV4 or (int(address) >> 32 == 0 and int(address) > 1)):
            carried = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if carried is not None:
            yield carried
