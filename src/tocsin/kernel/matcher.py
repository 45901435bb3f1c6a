"""Label matchers, written as Alertmanager writes them: ``=``, ``!=``, ``=~``, ``!~``.

Regular expressions are RE2 and anchored at both ends: they run in time linear in the label's length, so that a
pattern in a plan or a silence cannot hang the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Literal

import re2
from msgspec import Struct

Operator = Literal["=", "!=", "=~", "!~"]
MAX_PATTERN = 4_096

_TEXT = re.compile(r'([A-Za-z_:][A-Za-z0-9_:.\-]*|"(?:[^"\\]|\\.)*")\s*(=~|!~|!=|=)\s*(.*)', re.DOTALL)


class MatcherError(ValueError):
    """A matcher cannot be read; the message says what is wrong with it."""


class Matcher(Struct, frozen=True):
    """One condition on one label. A label that is absent counts as the empty text, as in Alertmanager."""

    label: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{json.dumps(self.value, ensure_ascii=False)}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet this condition."""
        have = labels.get(self.label, "")
        match self.operator:
            case "=":
                return have == self.value
            case "!=":
                return have != self.value
            case "=~":
                return compiled(self.value).fullmatch(have) is not None
            case "!~":
                return compiled(self.value).fullmatch(have) is None


_QUIET = re2.Options()
_QUIET.log_errors = False  # RE2 would write to stderr what we say in the message
_compiled: dict[str, re2._Regexp[str]] = {}


def compiled(pattern: str) -> re2._Regexp[str]:
    """The compiled form of an RE2 pattern, kept. Raises MatcherError for one that RE2 refuses."""
    found = _compiled.get(pattern)
    if found is None:
        if len(pattern) > MAX_PATTERN:
            raise MatcherError(f"the pattern is longer than {MAX_PATTERN} characters")
        try:
            found = re2.compile(pattern, _QUIET)
        except re2.error as error:
            why = error.args[0].decode("utf-8", "replace") if error.args else "unknown"
            raise MatcherError(f"{pattern!r} is not a regular expression RE2 accepts: {why}") from None
        if len(_compiled) >= 10_000:
            _compiled.clear()
        _compiled[pattern] = found
    return found


def matcher(label: str, operator: Operator, value: str) -> Matcher:
    """Make a matcher, refusing with MatcherError a pattern that cannot be compiled."""
    if operator in ("=~", "!~"):
        compiled(value)
    return Matcher(label, operator, value)


def parse_matcher(text: str) -> Matcher:
    """Read ``job="checkout"``, ``region!=eu`` or ``alertname=~"Redis.*"``. Raises MatcherError."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise MatcherError(f'{text!r} is not a matcher: write label="value", with =, !=, =~ or !~')
    label, operator, value = found.groups()
    if value.startswith("=") and operator in ("=", "!="):
        # Alertmanager refuses it as well. Taken as it stands it would meet nothing, and nobody would hear of it.
        raise MatcherError(f'{text!r} has a second "=": quote a value that begins with one, {label}{operator}"{value}"')
    return matcher(_unquoted(label), operator, _unquoted(value))  # type: ignore[arg-type]  # the pattern allows the four operators only


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        if '"' in text:
            raise MatcherError(f"{text!r} has a quote in the middle: quote the whole value")
        return text
    try:
        read = json.loads(text, strict=False)
    except ValueError:
        # Alertmanager unquotes as Go does, where "\d" is wrong as well; patterns write "\\d".
        raise MatcherError(f"{text} is not a quoted text (a backslash is written twice)") from None
    return str(read)


def all_match(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Whether every matcher is met."""
    return all(one.matches(labels) for one in matchers)


def implied(matchers: tuple[Matcher, ...], by: tuple[Matcher, ...]) -> bool:
    """Whether whatever alert meets ``by`` meets these too: as far as its equalities say it, or the same is asked by
    both, or every alert meets them.
    """
    said = {one.label: one.value for one in by if one.operator == "=" and one.value}
    return all(one in by or (one.label in said and one.matches(said)) or met_by_all(one) for one in matchers)


_ANY_WORD = re.compile(r"(?:\(\?[a-zA-Z]+\))?\^?(?:\((?:\?:)?\.[*+]\)|\.[*+])\$?")
"""A pattern that is met by every word there can be, for certain. Others may be; trying words does not show it."""


def met_by_all(one: Matcher) -> bool:
    """Whether no alert can fail to meet it. Every one has a name; it may lack all other labels."""
    if (one.label, one.operator, one.value) == ("alertname", "!=", ""):
        return True
    if one.operator != "=~" or not _ANY_WORD.fullmatch(one.value):
        return False
    return one.label == "alertname" or one.matches({})
