"""What is asked of the Alertmanager API: filters, flags and silences, read and refused as Alertmanager 0.25 does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request

from tocsin.kernel.instant import Instant, from_datetime
from tocsin.kernel.matcher import Matcher, MatcherError, Operator, compiled, matcher

# Space is what Go's \s is: no vertical tab.
_FILTER = re.compile(
    r"[ \t\n\f\r]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t\n\f\r]*(=~|=|!=|!~)[ \t\n\f\r]*(.*?)[ \t\n\f\r]*", re.DOTALL
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_UUID = re.compile(r"(?i)[a-f0-9]{8}-?[a-f0-9]{4}-?[a-f0-9]{4}-?[a-f0-9]{4}-?[a-f0-9]{12}")
_TRUE = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})
_ZERO = from_datetime(datetime.fromisoformat("0001-01-01T00:00:00+00:00"))


class Refused(Exception):
    """A request that is refused in Alertmanager's own shape: a JSON text, or its framework's code and message."""

    def __init__(self, status: int, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Any = message if code is None else {"code": code, "message": message}


def flag(request: Request[Any, Any, Any], name: str) -> bool:
    """Whether a query parameter that is on by default is on."""
    given = request.query_params.getall(name, [])
    return not given or not given[-1] or given[-1].lower() in _TRUE


def filters(request: Request[Any, Any, Any]) -> tuple[Matcher, ...]:
    """The matchers of a query's filters. Raises Refused."""
    return tuple(read_filter(text) for text in request.query_params.getall("filter", []))


def read_filter(text: str) -> Matcher:
    """A matcher as Alertmanager 0.25 reads it: quotes are optional, and a backslash that escapes nothing is itself."""
    found = _FILTER.fullmatch(text)
    if found is None:
        raise Refused(400, f"bad matcher format: {text}")
    label, operator, raw = found.groups()
    value, open_quote, place, quoted = [], raw.startswith('"'), 0, raw
    if open_quote:
        raw = raw[1:]
    while place < len(raw):
        char = raw[place]
        if char == "\\" and place + 1 < len(raw):
            place += 1
            value.append({"n": "\n", '"': '"', "\\": "\\"}.get(raw[place], "\\" + raw[place]))
        elif char == '"':
            if not open_quote or place < len(raw) - 1:
                raise Refused(400, f"matcher value contains unescaped double quote: {quoted}")
            open_quote = False
        else:
            value.append(char)
        place += 1
    if open_quote:
        raise Refused(400, f"matcher value contains unescaped double quote: {quoted}")
    try:
        return matcher(label, _operator(operator), "".join(value))
    except MatcherError as error:
        raise Refused(400, regex_fault(error)) from None


def _operator(text: str) -> Operator:
    match text:
        case "=" | "!=" | "=~" | "!~":
            return text
    raise AssertionError(text)


class _Posted(msgspec.Struct):
    id: str
    comment: str
    author: str
    starts_at: Instant
    ends_at: Instant
    matchers: list[tuple[str, str, bool, bool]]


def posted(body: bytes) -> _Posted:
    """What was posted, checked in the order in which Alertmanager's framework checks."""
    if not body.strip():
        raise _required("silence")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(str(error)) from None
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise _unreadable("it is not an object")
    texts = {name: _text(given, name) for name in ("id", "comment", "createdBy")}
    times = {name: _time(given, name) for name in ("startsAt", "endsAt")}
    listed = given.get("matchers")
    if listed is not None and not isinstance(listed, list):
        raise _unreadable("matchers is not a list")
    for one in listed or []:
        if one is not None and not isinstance(one, dict):
            raise _unreadable("a matcher is not an object")
        for name, kind in (("name", str), ("value", str), ("isRegex", bool), ("isEqual", bool)):
            if one and one.get(name) is not None and not isinstance(one[name], kind):
                raise _unreadable(f"matchers.{name} has the wrong type")
    comment, author, ends = texts["comment"], texts["createdBy"], times["endsAt"]
    if comment is None:
        raise _required("comment")
    if author is None:
        raise _required("createdBy")
    if ends is None:
        raise _required("endsAt")
    if listed is None:
        raise _required("matchers")
    if not listed:
        raise Refused(422, "matchers in body should have at least 1 items", 612)
    for place, one in enumerate(listed):
        for name in ("isRegex", "name", "value"):
            if (one or {}).get(name) is None:
                raise _required(f"matchers.{place}.{name}")
    starts = times["startsAt"]
    if starts is None:
        raise _required("startsAt")
    matchers = [(one["name"], one["value"], one["isRegex"], one.get("isEqual") is not False) for one in listed]
    return _Posted(texts["id"] or "", comment, author, starts, ends, matchers)


def checked(given: _Posted) -> tuple[Matcher, ...]:
    """The matchers, or the refusal Alertmanager's silences give."""
    found: list[Matcher] = []
    for place, (name, value, regex, equal) in enumerate(given.matchers):
        if _NAME.fullmatch(name) is None:
            raise Refused(400, f"silence invalid: invalid label matcher {place}: invalid label name {quoted(name)}")
        try:
            found.append(
                matcher(name, _operator(("=" if equal else "!") + ("~" if regex else "" if equal else "=")), value)
            )
        except MatcherError as error:
            raise Refused(
                400,
                f"silence invalid: invalid label matcher {place}: invalid regular expression {quoted(value)}: "
                f"{regex_fault(error)}",
            ) from None
    if _all_empty(found):
        raise Refused(400, "silence invalid: at least one matcher must not match the empty string")
    return tuple(found)


def _all_empty(matchers: Iterable[Matcher]) -> bool:
    # As in Alertmanager a negative matcher always counts as one that says something.
    return all(
        (one.operator == "=" and not one.value) or (one.operator == "=~" and compiled(one.value).search("") is not None)
        for one in matchers
    )


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise _unreadable(f"{name} is not a text")
    return value


def _time(given: dict[str, Any], name: str) -> Instant | None:
    value = _text(given, name)
    if value is None:
        return None
    if not value:
        return _ZERO
    try:
        if "T" not in value and "t" not in value and " " not in value:
            raise ValueError
        return from_datetime(datetime.fromisoformat(value.upper()))
    except (ValueError, OverflowError):
        raise _unreadable(
            f"parsing time {quoted(value)} as {quoted('2006-01-02T15:04:05.000Z')}: cannot parse it"
        ) from None


def _required(name: str) -> Refused:
    return Refused(422, f"{name} in body is required", 602)


def _unreadable(because: str) -> Refused:
    return Refused(400, f'parsing silence body from "" failed, because {because}', 400)


def uuid(text: str) -> str:
    """A silence's id in its one spelling. Raises Refused."""
    if _UUID.fullmatch(text) is None:
        raise Refused(422, f"silenceID in path must be of type uuid: {quoted(text)}", 601)
    return text


def regex_fault(error: MatcherError) -> str:
    """Why a pattern is none, as Go says it."""
    return f"error parsing regexp: {error}"


def quoted(text: str) -> str:
    """A text in the quotes of Go."""
    return msgspec.json.encode(text).decode()
