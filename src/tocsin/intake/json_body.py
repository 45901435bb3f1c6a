"""Reading JSON as it really arrives: bytes that are not UTF-8, halved surrogate pairs, numbers beyond a machine's.

Go's decoder, which most senders were written against, replaces what is not text by U+FFFD and goes on.
A strict reader would refuse the whole request for one bad byte in one annotation, so the first try is strict and fast,
the second is mended.
"""

from __future__ import annotations

import json
import re

import msgspec

# Escapes in order, so that the text "\\ud800" (an escaped backslash) is passed over and never taken for a surrogate.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.", re.DOTALL
)
_LONE = 6  # bytes in one \uXXXX; a whole pair has twelve, any other escape two

_GZIP = b"\x1f\x8b"


class NotJson(ValueError):
    """The bytes are not one JSON value; the message says what is wrong."""


def mended(body: bytes) -> bytes:
    """The same JSON text as valid UTF-8, with U+FFFD in place of bad bytes and of halves of surrogate pairs."""
    try:
        body.decode()
    except UnicodeDecodeError:
        body = body.decode(errors="replace").encode()
    if b"\\" not in body:
        return body
    return _ESCAPES.sub(lambda found: rb"\ufffd" if len(found[0]) == _LONE else found[0], body)


def refuse_compressed(body: bytes) -> None:
    """Raises NotJson for a compressed body, which no look at its bytes as JSON would explain."""
    if body.startswith(_GZIP):
        raise NotJson("it is compressed (gzip), and bodies are taken as they are")


def read_json(body: bytes) -> object:
    """The one JSON value in a body, as Python's own types. Raises NotJson.

    A number that no machine number holds (1e400) is kept as its text.
    """
    refuse_compressed(body)
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    fixed = mended(body)
    try:
        return msgspec.json.decode(fixed)
    except msgspec.ValidationError:
        return _with_any_numbers(fixed)
    except msgspec.DecodeError as error:
        raise NotJson(plain(str(error))) from None


def plain(message: str) -> str:
    """The decoder's message in a reader's words."""
    return message.removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")


def _with_any_numbers(body: bytes) -> object:
    def refused(constant: str) -> object:
        raise NotJson(f"{constant} is not a JSON number")

    def number(text: str) -> int | float | str:
        try:
            value = float(text) if not text.lstrip("-").isdigit() else int(text)
        except ValueError:
            return text
        return text if value in (float("inf"), float("-inf")) else value

    try:
        # The text is known to be well-formed by now; only a number was too large for msgspec.
        read: object = json.loads(body, parse_int=number, parse_float=number, parse_constant=refused)
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except ValueError as error:
        raise NotJson(str(error)) from None
    return read
