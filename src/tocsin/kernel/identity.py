"""Identities that two machines, two runs and two hash seeds compute alike."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

_sorted_json = msgspec.json.Encoder(order="sorted").encode
read_texts = msgspec.json.Decoder(dict[str, str]).decode
"""Texts by name, out of JSON: what ``label_text`` was given. Raises msgspec.DecodeError."""

_OFFSET, _PRIME, _MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


def identity(*parts: str | bytes) -> bytes:
    """Sixteen bytes for a sequence of texts.

    Lengths are hashed too, so ``("a", "bc")`` differs from ``("ab", "c")``.
    """
    text = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        text += len(raw).to_bytes(4, "little")
        text += raw
    return blake2b(text, digest_size=16).digest()


def label_text(labels: dict[str, str]) -> bytes:
    """Labels in one canonical byte string: JSON, sorted by name. Raises ValueError for lone surrogates."""
    return _sorted_json(labels)


def keyed(key: str) -> bytes:
    """The place of what its source names by a key. No label set reads like this."""
    return b"k" + key.encode("utf-8", "surrogatepass")


def texts_json(texts: Mapping[str, str]) -> msgspec.Raw:
    """Texts by name as JSON that can be put into other JSON as it is. What no UTF-8 holds becomes U+FFFD."""
    try:
        return msgspec.Raw(_sorted_json(texts))
    except UnicodeEncodeError:
        return msgspec.Raw(_sorted_json({whole(name): whole(text) for name, text in texts.items()}))


def whole(text: str) -> str:
    """The text with halves of surrogate pairs, which no UTF-8 holds, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def fingerprint(labels: Mapping[str, str]) -> str:
    """The fingerprint Alertmanager reports for a label set: 16 hexadecimal digits.

    FNV-1a, 64 bit, over each name and value in name order, each followed by the byte 255 (prometheus/common,
    model/signature.go). Slow in Python: for answers to people, not for deduplication.
    """
    total = _OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            total = ((total ^ byte) * _PRIME) & _MASK
    return f"{total:016x}"


def uuid_text(seed: bytes) -> str:
    """A UUID-shaped text made from 16 bytes of identity, for clients that expect one."""
    digits = seed.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
