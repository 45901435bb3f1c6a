"""The exported JSON Schema and the decoder agree, because they are one declaration."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.plan.test_findings import HERE, MISTAKES
from tests.plan.written import HEAD, example
from tocsin.notation.decoder import Record
from tocsin.notation.findings import Findings
from tocsin.plan import json_schema, read_plan, starter_plan
from tocsin.plan.composing import compose
from tocsin.plan.playbook_file import json_schema as json_schema_of_playbooks
from tocsin.plan.schema import PlanFile


class Texts(yaml.SafeLoader):
    """Every plain text a text, as the decoder reads."""


class Editor(yaml.SafeLoader):
    """Numbers, booleans and nulls as YAML 1.2 has them, as an editor reads."""


Texts.yaml_implicit_resolvers = {"": [("tag:yaml.org,2002:null", re.compile(r""))]}
Editor.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    Editor.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


def as_json(content: bytes, loader: type[yaml.SafeLoader]) -> Any:
    """A plan as a validator of JSON sees it: keys are texts."""
    return keyed(yaml.load(content, Loader=loader))


def keyed(value: Any) -> Any:
    """The value with every key a text."""
    if isinstance(value, dict):
        return {str(key): keyed(inner) for key, inner in value.items()}
    return [keyed(inner) for inner in value] if isinstance(value, list) else value


def validator() -> Draft202012Validator:
    """The exported schema, which is itself valid."""
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


GOOD = {
    "shop": example("shop.yaml"),
    "everything": example("everything.yaml"),
    "starter": starter_plan()["tocsin.yaml"],
    "empty sections": HEAD.encode() + b"services:\nroutes:\n",
}


@pytest.mark.parametrize("loader", [Texts, Editor])
@pytest.mark.parametrize("name", GOOD)
def test_what_the_decoder_accepts_the_schema_accepts(name, loader):
    """As texts and as an editor reads them."""
    assert read_plan({"a.yaml": GOOD[name]}).plan is not None
    assert [error.message for error in validator().iter_errors(as_json(GOOD[name], loader))] == []


BEYOND_SHAPES = re.compile(
    r"^unknown (person|schedule|person or schedule|playbook|customer tier|team|service|escalation|time zone)"
    r"|circle|called"
    r"|^unknown (severity|unit)"
    r"|already a key|out of bounds|waits|turn|no month|there is no day|is a person as well|last resort"
    r"|has failed already|only https|no valid port|is not a share of a disk|bad (hour|day)|not a range of HTTP"
    r"|^the key|RE2|said twice|is not a matcher|has a second"
    r"|YAML|plan language|one document|^a key is a text|^this is not a URL"
)
"""What a schema cannot know: names, circles, meanings, and how a file is written."""

SHAPES = [name for name, (_, message, _) in MISTAKES.items() if not BEYOND_SHAPES.search(message)]


@pytest.mark.parametrize("name", SHAPES)
def test_a_mistake_of_shape_fails_in_both(name):
    """What an editor underlines is what the decoder refuses."""
    content = HEAD.encode() + MISTAKES[name][0].replace(HERE, "").encode()
    assert read_plan({"a.yaml": content}).plan is None
    assert not validator().is_valid(as_json(content, Editor))


def test_most_mistakes_are_mistakes_of_shape():
    """The list above did not shrink to nothing."""
    assert len(SHAPES) >= 35


def test_every_key_has_a_description_and_is_used_in_the_example():
    """What editors show, and what the tests of the language cover."""

    def records(of: type[Record]) -> list[type[Record]]:
        return [one for kind in of.__subclasses__() for one in (kind, *records(kind))]

    said = "".join(example(name).decode() for name in ("everything.yaml", "playbook.yaml", "triggers.yaml"))
    for kind in records(Record):
        for key, field in kind.fields.items():
            assert field.about.endswith("."), f"{kind.__name__}.{key}"
            assert re.search(rf"(^|[\s{{]){key}:", said), f"{kind.__name__}.{key} is in no example"


def test_every_key_of_a_playbook_in_yaml_is_read():
    """And what is read is what the example says."""
    findings = Findings()
    (found,) = compose({"playbooks/a.yaml": example("playbook.yaml")}, findings)
    assert findings.sorted() == () and len(found.guards) == 6 and len(found.steps) == 6
    top = json_schema_of_playbooks()
    assert top["$defs"]["ComposedFile"]["required"] == ["playbook", "steps"]
    loaded = as_json(example("playbook.yaml"), Editor)
    assert list(Draft202012Validator(top).iter_errors(loaded)) == []


def test_a_key_of_a_later_version_is_not_a_key_of_this_one():
    """Once it is built it leaves the list of what is not."""

    def records(of: type[Record]) -> list[type[Record]]:
        return [one for kind in of.__subclasses__() for one in (kind, *records(kind))]

    for kind in records(Record):
        assert not kind.later & set(kind.fields)


def test_the_schema_is_json_and_names_its_dialect():
    """Editors read it from a file."""
    found = json.loads(json.dumps(json_schema()))
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(found["$defs"]["PlanFile"]["properties"]) == set(PlanFile.fields)
