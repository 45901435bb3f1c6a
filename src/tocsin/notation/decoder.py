"""The small language plans are described in, and its two readings: decode a document, or export JSON Schema.

A shape is declared once. ``read`` turns a node into a value, or reports what is wrong with it and answers None;
``json`` is the same rule for editors. A record is a class whose attributes are ``Field``s::

    class Team(Record):
        \"\"\"People who answer together.\"\"\"

        members = Field(ListOf(NAME, "people", at_least=1), "Who is in it.", required=True)
        lead = Field(NAME, "Who answers for it.")

An attribute of a record that was read is the field's value, or None when it was left out (or was reported).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast, overload

from tocsin.notation.documents import Entries, Items, Node, Scalar, Unreadable
from tocsin.notation.findings import Findings, nearest, shown
from tocsin.notation.positions import Placed, Position

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
R = TypeVar("R", bound="Record")

Json = dict[str, Any]
"""A JSON Schema. Keywords have many types, hence ``Any``."""

SCALAR_TYPES = ["string", "number", "boolean"]
"""What an editor may take a text for that nobody quoted: ``tier: 1``, a person called ``no``."""


class Unfit(ValueError):
    """A text is not what its key asks for. ``hint`` says what to write.

    ``suggest`` finds a better hint by comparing ``among`` words; it is asked only while there is time for that.
    """

    def __init__(self, message: str, hint: str = "", suggest: Callable[[], str] | None = None, among: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.suggest = suggest
        self.among = among


class Shape(ABC, Generic[T_co]):
    """What may stand in one place of a plan. ``what`` names it to people: "a duration", "a list of people"."""

    what: str

    @abstractmethod
    def read(self, node: Node, findings: Findings) -> T_co | None:
        """The value of a node; None when it is not of this shape, which has then been reported."""

    @abstractmethod
    def json(self, defs: Json) -> Json:
        """The JSON Schema of this shape; records put themselves into ``defs``."""


class Word(Shape[T]):
    """One text with a meaning. ``pattern`` is what it looks like, to editors as well; ``parse`` what it means.

    ``parse`` raises Unfit. ``secret`` texts are never quoted in a message. ``also`` is added to the JSON Schema.
    """

    def __init__(
        self,
        what: str,
        parse: Callable[[str], T],
        *,
        pattern: str = "",
        write: str = "",
        secret: bool = False,
        also: Mapping[str, Any] | None = None,
    ) -> None:
        self.what = what
        self._parse = parse
        self._pattern = pattern
        self._compiled = re.compile(pattern) if pattern else None
        self._write = write
        self._secret = secret
        self._also = dict(also or {})

    def read(self, node: Node, findings: Findings) -> T | None:
        """The meaning of a text."""
        placed = self.placed(node, findings)
        return None if placed is None else placed.value

    def placed(self, node: Node, findings: Findings) -> Placed[T] | None:
        """The meaning of a text, and where it stands."""
        text = _scalar(self, node, findings)
        if text is None:
            return None
        if self._compiled and not self._compiled.fullmatch(text.text):
            quoted = "this" if self._secret else shown(text.text)
            findings.error(text.at, f"{quoted} is not {self.what}", self._write)
            return None
        try:
            return Placed(self._parse(text.text), text.at)
        except Unfit as unfit:
            hint = unfit.suggest() if unfit.suggest and findings.may_compare(unfit.among) else unfit.hint
            findings.error(text.at, str(unfit), hint or self._write)
            return None

    def json(self, defs: Json) -> Json:
        """A string, or the number or boolean an editor reads instead."""
        found: Json = {"type": SCALAR_TYPES, "minLength": 1}
        if self._pattern:
            found["pattern"] = f"^(?:{self._pattern})$"
        return found | self._also


class Choice(Word[str]):
    """One of a few words."""

    def __init__(self, what: str, *words: str) -> None:
        super().__init__(what, self._choose)
        self._words = words

    def _choose(self, text: str) -> str:
        if text in self._words:
            return text
        close = nearest(text, self._words)
        hint = f"write one of {', '.join(self._words)}"
        raise Unfit(f"{shown(text)} is not {self.what}", f"did you mean {close}? {hint}" if close else hint)

    def json(self, defs: Json) -> Json:
        """An enumeration."""
        return {"enum": list(self._words)}


class At(Shape[Placed[T]]):
    """A word that remembers where it stands, for names that are looked up later."""

    def __init__(self, word: Word[T]) -> None:
        self.what = word.what
        self._word = word

    def read(self, node: Node, findings: Findings) -> Placed[T] | None:
        """The word with its place."""
        return self._word.placed(node, findings)

    def json(self, defs: Json) -> Json:
        """The word's own."""
        return self._word.json(defs)


class ListOf(Shape[tuple[T, ...]]):
    """A list. ``single``: one item may stand without its brackets. Items that are wrong are reported and left out."""

    def __init__(
        self, item: Shape[T], what: str, *, at_least: int = 0, at_most: int = 10_000, single: bool = False
    ) -> None:
        self.what = f"a list of {what}"
        self._of = what
        self._item = item
        self._least = at_least
        self._most = at_most
        self._single = single

    def read(self, node: Node, findings: Findings) -> tuple[T, ...] | None:
        """The items that could be read, in order."""
        if isinstance(node, Unreadable):
            return None
        nothing = isinstance(node, Scalar) and node.nothing
        if self._single and not isinstance(node, Items) and not nothing:
            item = self._item.read(node, findings)
            return None if item is None else (item,)
        if not isinstance(node, Items) and not nothing:
            hint = "put it in brackets: [" + node.text + "]" if isinstance(node, Scalar) and len(node.text) < 60 else ""
            findings.error(node.at, f"expected {self.what}, found {_found(node)}", hint)
            return None
        items = node.items if isinstance(node, Items) else []
        if len(items) < self._least:
            findings.error(node.at, f"expected {self.what}, at least {self._least}; found {len(items) or 'none'}")
            return None
        if len(items) > self._most:
            findings.error(node.at, f"expected {self.what}, at most {self._most:,}; found {len(items):,}")
            return None
        read = (self._item.read(item, findings) for item in items)
        return tuple(item for item in read if item is not None)

    def json(self, defs: Json) -> Json:
        """An array, or the single item."""
        item = self._item.json(defs)
        array: Json = {"type": "array", "items": item, "maxItems": self._most}
        if self._least:
            array["minItems"] = self._least
        else:
            array["type"] = ["array", "null"]
        return {"anyOf": [array, item]} if self._single else array


class NamesOf(Shape[tuple[tuple[Placed[str], T | None], ...]]):
    """A mapping from names to values of one shape. A name whose value is wrong stays, with None: it is known."""

    def __init__(self, key: Word[str], value: Shape[T], what: str) -> None:
        self.what = f"a mapping from names to {what}"
        self._key = key
        self._value = value

    def read(self, node: Node, findings: Findings) -> tuple[tuple[Placed[str], T | None], ...] | None:
        """Names and values in the order written."""
        entries = _entries(self.what, node, findings)
        if entries is None:
            return None
        found = []
        for key, value in entries:
            name = self._key.placed(key, findings)
            read = self._value.read(value, findings)
            if name is not None:
                found.append((name, read))
        return tuple(found)

    def json(self, defs: Json) -> Json:
        """An object whose property names follow the pattern."""
        names = {key: rule for key, rule in self._key.json(defs).items() if key != "type"}
        return {"type": ["object", "null"], "propertyNames": names, "additionalProperties": self._value.json(defs)}


class Either(Shape[T | U]):
    """A text, or a mapping that says more."""

    def __init__(self, word: Shape[T], record: Shape[U]) -> None:
        self.what = f"{word.what} or {record.what}"
        self._word = word
        self._record = record

    def read(self, node: Node, findings: Findings) -> T | U | None:
        """By what was written."""
        return self._record.read(node, findings) if isinstance(node, Entries) else self._word.read(node, findings)

    def json(self, defs: Json) -> Json:
        """Either."""
        return {"anyOf": [self._word.json(defs), self._record.json(defs)]}


class Field(Generic[T]):
    """One key of a record. ``key`` is the attribute's name with spaces for underscores unless given."""

    def __init__(self, shape: Shape[T], about: str, *, required: bool = False, key: str = "") -> None:
        self.shape = shape
        self.about = about
        self.required = required
        self.key = key

    def __set_name__(self, owner: type[Record], name: str) -> None:
        self.key = self.key or name.replace("_", " ")

    @overload
    def __get__(self, instance: None, owner: type[Record]) -> Field[T]: ...
    @overload
    def __get__(self, instance: Record, owner: type[Record]) -> T | None: ...
    def __get__(self, instance: Record | None, owner: type[Record]) -> Field[T] | T | None:
        return self if instance is None else cast("T | None", instance.values.get(self.key))


class Record:
    """A mapping with known keys. Subclasses declare Fields; their first docstring line describes them in editors.

    ``exclusive``: groups of keys of which at most one is written. ``one_of``: exactly one. ``together``: a key and the
    one it makes no sense without; of several, any will do. ``later``: keys that are designed and not in this version;
    the refusal says so. ``elsewhere``: keys that people look for here, and where what they mean is said.
    ``instead``: how it is written, for whoever wrote a text or a list in its place.
    """

    fields: ClassVar[dict[str, Field[Any]]] = {}
    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()
    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    together: ClassVar[dict[str, str | tuple[str, ...]]] = {}
    later: ClassVar[frozenset[str]] = frozenset()
    elsewhere: ClassVar[dict[str, str]] = {}
    instead: ClassVar[str] = ""
    what: ClassVar[str] = "a mapping"

    __slots__ = ("at", "places", "values")

    def __init_subclass__(cls, more: Mapping[str, Field[Any]] | None = None) -> None:
        """``more``: keys that are declared elsewhere, such as in the files of channels; read in ``values``."""
        own = {found.key: found for found in vars(cls).values() if isinstance(found, Field)} | dict(more or {})
        cls.fields = own | {key: found for key, found in cls.fields.items() if key not in own}

    def __init__(self, at: Position, values: dict[str, object], places: dict[str, Position]) -> None:
        self.at = at
        self.values = values
        self.places = places

    def where(self, key: str) -> Position:
        """Where a key stands, or the record itself when the key was left out."""
        return self.places.get(key, self.at)

    @classmethod
    def rules(cls, defs: Json) -> Json:
        """The JSON Schema of this record; parts that repeat go into ``defs``."""
        found: Json = {"type": "object"}
        if cls.__doc__:
            found["description"] = cls.__doc__.split("\n", 1)[0]
        found["properties"] = {
            key: {"description": one.about} | one.shape.json(defs) for key, one in cls.fields.items()
        }
        found["additionalProperties"] = False
        required = [key for key, one in cls.fields.items() if one.required]
        if required:
            found["required"] = required
        elif not cls.one_of:
            found["type"] = ["object", "null"]
        if cls.together:
            found["dependentRequired"] = {key: [one] for key, one in cls.together.items() if isinstance(one, str)}
        choices: list[Json] = [
            {"anyOf": [{"not": {"required": [key]}}, *({"required": [one]} for one in others)]}
            for key, others in cls.together.items()
            if not isinstance(others, str)
        ]
        choices += [{"oneOf": [{"required": [key]} for key in keys]} for keys in cls.one_of]
        for keys in cls.exclusive:
            pairs = [(a, b) for i, a in enumerate(keys) for b in keys[i + 1 :]]
            choices += [{"not": {"required": [a, b]}} for a, b in pairs]
        if choices:
            found["allOf"] = choices
        return found


class RecordOf(Shape[R]):
    """A record of one kind. Answers the record even when some of its keys are wrong; those are None."""

    def __init__(self, kind: type[R]) -> None:
        self.what = kind.what
        self._kind = kind
        self._demanding = bool(kind.one_of) or any(one.required for one in kind.fields.values())

    def read(self, node: Node, findings: Findings) -> R | None:
        """The record, read key by key."""
        if self._demanding and isinstance(node, Scalar) and node.nothing:
            findings.error(node.at, f"expected {self.what}, found nothing")
            return None
        entries = _entries(self.what, node, findings, self._kind.instead)
        if entries is None:
            return None
        kind = self._kind
        values: dict[str, object] = {}
        places: dict[str, Position] = {}
        unknown = []
        for key, value in entries:
            field = kind.fields.get(key.text)
            if field is None:
                _refuse_key(kind, key, findings)
                unknown.append(key.text)
                continue
            places[key.text] = key.at
            read = field.shape.read(value, findings)
            if read is not None:
                values[key.text] = read
        record = kind(node.at, values, places)
        _check_keys(record, unknown, findings)
        return record

    def json(self, defs: Json) -> Json:
        """A reference to the record's definition."""
        name = self._kind.__name__
        if name not in defs:
            defs[name] = {}  # a record may hold itself
            defs[name] = self._kind.rules(defs)
        return {"$ref": f"#/$defs/{name}"}


class Variants(Shape[R]):
    """A record whose kind shows in one of its keys: ``{http: …}`` or ``{tcp: …}``."""

    def __init__(self, what: str, kinds: Mapping[str, type[R]], later: frozenset[str] = frozenset()) -> None:
        self.what = what
        self._shapes: dict[str, RecordOf[R]] = {key: RecordOf(kind) for key, kind in kinds.items()}
        self._later = later
        self._fields = {field for kind in kinds.values() for field in kind.fields}

    def read(self, node: Node, findings: Findings) -> R | None:
        """The record of the kind that was written."""
        entries = _entries(self.what, node, findings)
        if entries is None:
            return None
        kinds = ", ".join(self._shapes)
        found = [key for key, _ in entries if key.text in self._shapes]
        if len(found) == 1:
            return self._shapes[found[0].text].read(node, findings)
        if found:
            both = f"{found[0].text} and {found[1].text}"
            findings.error(found[1].at, f"{self.what} has one kind, not both {both}", "make it two")
            return None
        for key, _ in entries:
            if key.text in self._later:
                findings.error(
                    key.at, f"{shown(key.text)} is not supported by this version in {self.what}", f"it knows {kinds}"
                )
                return None
        for key, _ in entries:
            close = None if key.text in self._fields else nearest(key.text, self._shapes)
            if close:
                findings.error(key.at, f"unknown kind {shown(key.text)}", f"did you mean {close}?")
                return None
        findings.error(node.at, f"{self.what} says what it looks at", f"write one of the keys {kinds}")
        return None

    def json(self, defs: Json) -> Json:
        """One of the kinds; each requires its own key."""
        return {"oneOf": [shape.json(defs) for shape in self._shapes.values()]}


def _scalar(word: Word[T], node: Node, findings: Findings) -> Scalar | None:
    if isinstance(node, Unreadable):
        return None
    if not isinstance(node, Scalar):
        findings.error(node.at, f"expected {word.what}, found {_found(node)}")
        return None
    if not node.text:
        findings.error(node.at, f"expected {word.what}, found nothing", "leave the key out to have its default")
        return None
    return node


def _entries(what: str, node: Node, findings: Findings, instead: str = "") -> list[tuple[Scalar, Node]] | None:
    if isinstance(node, Entries):
        return node.entries
    if isinstance(node, Scalar) and node.nothing:
        return []
    if not isinstance(node, Unreadable):
        findings.error(node.at, f"expected {what}, found {_found(node)}", instead)
    return None


def _found(node: Node) -> str:
    if isinstance(node, Scalar):
        return "a text" if node.text else "nothing"
    return "a list" if isinstance(node, Items) else "a mapping"


def _refuse_key(kind: type[Record], key: Scalar, findings: Findings) -> None:
    if key.text in kind.elsewhere:
        findings.error(key.at, f"{shown(key.text)} is not part of {kind.what}", kind.elsewhere[key.text])
    elif key.text in kind.later:
        findings.error(key.at, f"{shown(key.text)} is not supported by this version")
    else:
        findings.error(key.at, f"unknown key {shown(key.text)} in {kind.what}", findings.nearest(key.text, kind.fields))


def _check_keys(record: Record, unknown: list[str], findings: Findings) -> None:
    kind, places = type(record), record.places
    for key, field in kind.fields.items():
        if field.required and key not in places and not nearest(key, unknown):  # misspelt is not missing
            findings.error(record.at, f"{kind.what} needs the key {shown(key)}", field.about)
    for group in kind.one_of:
        written = [key for key in group if key in places]
        if len(written) != 1 and not any(nearest(key, unknown) for key in group):
            at = places[written[1]] if written else record.at
            found = " and ".join(written) or "none"
            findings.error(at, f"{kind.what} needs exactly one of {' and '.join(group)}; found {found}")
    for group in kind.exclusive:
        written = [key for key in group if key in places]
        if len(written) > 1:
            findings.error(places[written[1]], f"{kind.what} takes only one of {' and '.join(written)}")
    for key, other in kind.together.items():
        any_of = (other,) if isinstance(other, str) else other
        if key in places and not any(one in places for one in any_of):
            findings.error(places[key], f"{shown(key)} needs {' or '.join(map(shown, any_of))} beside it")
