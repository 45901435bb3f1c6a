"""Whatever is posted to a real Alertmanager and to a real Tocsin, what both tell of alerts and silences agrees.

Hypothesis plays clients: it posts batches, silences, changes and expires, and after every step reads everything back
from both. What differs on purpose is excluded here by name and listed in `docs/senders/alertmanager-api.md`; each
such difference has its own test in `test_deliberate_differences.py`.
"""

from __future__ import annotations

import itertools
import os
from functools import partial
from typing import Any

import re2
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.differential.pair import LINK, Example, Pair, Side, now
from tests.intake.test_alertmanager_differential import alerts as any_alerts
from tests.support.waiting import eventually
from tocsin.kernel.instant import SECOND, format_rfc3339

# What is found is short enough to read, and making it shorter against real servers takes minutes: only when a number of
# examples was asked for.
EXAMPLES = int(os.environ.get("TOCSIN_DIFFERENTIAL", "50"))
PHASES = [phase for phase in Phase if phase is not Phase.shrink or "TOCSIN_DIFFERENTIAL" in os.environ]
STEPS = 14

# --- alerts

# Half a minute away from now and a minute from each other: nothing ends while a step is looked at, and no two are taken
# for the same (an end up to 5 s from where a repetition would have put it is one: a deliberate difference).
offsets = st.integers(-120, 120).map(lambda minutes: minutes * 60 + 30)
often = st.sampled_from([-270, -210, -150, -90, -30])
starts = st.one_of(st.none(), st.just("0001-01-01T00:00:00Z"), offsets, often, often, often)
ends = st.one_of(
    st.none(), st.just("0001-01-01T00:00:00.000Z"), offsets, often, st.sampled_from([90, 150, 210, 330]),
    st.sampled_from([("later", 60), ("later", 120), ("later", 240)]),
)  # fmt: skip

values = st.sampled_from(["a", "b", "", "web", "x\ny", "ü", 'q"\\', "<&>"])
names = st.sampled_from(["instance", "job", "severity", "_x"])
FEW_LABEL_SETS: list[dict[str, str]] = [
    {}, {"instance": "a"}, {"instance": "a", "job": "web"}, {"instance": "a", "job": ""},
]  # fmt: skip
label_sets = st.sampled_from(FEW_LABEL_SETS) | st.dictionaries(names, values, max_size=2)
annotation_sets = st.dictionaries(
    st.sampled_from(["summary", "runbook"]), st.sampled_from(["", "s", "é\n"]), max_size=2
)


@st.composite
def good_alerts(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly the same few label sets with other times: repetitions, resolutions, two replicas that disagree."""
    alert: dict[str, Any] = {"labels": draw(label_sets)}
    if (starts_at := draw(starts)) is not None:
        alert["startsAt"] = starts_at
    if (ends_at := draw(ends)) is not None:
        alert["endsAt"] = ends_at
    if draw(st.booleans()):
        alert["annotations"] = draw(annotation_sets)
    if draw(st.booleans()):
        alert["generatorURL"] = draw(st.sampled_from([LINK, "", "mailto:ana", "http://[::1]:9/"]))
    return alert


def timed(example: Example, alert: Any) -> Any:
    """The alert with texts for its times, its example among its labels, and no NUL, which Tocsin shows as U+FFFD."""
    if not isinstance(alert, dict):
        return alert
    alert = dict(alert)
    for field in ("startsAt", "endsAt"):
        match alert.get(field):
            case ("later", seconds):
                # As Prometheus does: so far ahead of each time it is said.
                alert[field] = format_rfc3339(now() + seconds * SECOND)
            case ("now", seconds):
                alert[field] = example.at(seconds // 60 * 60 + 30)
            case int(seconds) if abs(seconds) > 5:
                alert[field] = example.at(seconds)
    for field in ("labels", "annotations"):
        if isinstance(alert.get(field), dict):
            alert[field] = {
                name: value.replace("\0", "0") if isinstance(value, str) else value
                for name, value in alert[field].items()
            }
    if isinstance(alert.get("labels"), dict):
        alert["labels"] |= example.labels()
    return alert


# --- matchers, as filters and in silences

PATTERNS = [
    "",
    "a",
    ".*",
    ".+",
    "a|b",
    "(?i)A",
    "x.y",
    "(?s)x.y",
    "[",
    "(",
    "a{2}",
    "a**",
    "web|",
    "\\d",
    "^a$",
    "\\bü",
]
patterns = st.sampled_from([*PATTERNS, "\\pL+"])
texts = st.one_of(values, patterns, st.text('ab"\\ n\n\v\t.=~!|()*,{}é', max_size=5))
filter_names = st.one_of(names, st.sampled_from(["absent", "a:b", "a-b", "é", "", "1a"]))
spaces = st.sampled_from(["", "", "", " ", "\t", "\n", "\v", "\u00a0"])


@st.composite
def filters(draw: st.DrawFn) -> str:
    """A filter: mostly as people write them, sometimes quoted oddly."""
    value = draw(texts)
    match draw(st.integers(0, 4)):
        case 0:
            value = '"' + value + '"'
        case 1 | 2:
            value = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    operator = draw(st.sampled_from(["=", "!=", "=~", "!~"]))
    return "".join((draw(spaces), draw(filter_names), draw(spaces), operator, draw(spaces), value, draw(spaces)))


def unbalanced(pattern: str) -> bool:
    """Whether a pattern is none by itself, but becomes one between the anchors that Alertmanager puts around it.

    Deliberate difference: `a)|(b` is refused.
    """
    options = re2.Options()
    options.log_errors = False

    def good(text: str) -> bool:
        try:
            re2.compile(text, options)
        except re2.error:
            return False
        return True

    return not good(pattern) and good(f"^(?:{pattern})$")


usable_filters = filters().filter(lambda text: not any(unbalanced(text[place:]) for place in range(len(text) + 1)))
flags = st.sampled_from(["true", "false", "1", "no", "TRUE", "", "x"])
queries = st.fixed_dictionaries(
    {},
    optional={
        "active": flags,
        "silenced": flags,
        "inhibited": flags,
        "unprocessed": flags,
        "receiver": st.sampled_from(["inbox", "in.*", "check", "checkout|inbox", "", "[", "(?i)INBOX"]),
    },
)

matchers = st.fixed_dictionaries(
    {"name": st.one_of(names, st.just("absent")), "value": values, "isRegex": st.just(False)},
    optional={"isEqual": st.sampled_from([True, False, None])},
) | st.fixed_dictionaries(
    {"name": names, "value": patterns.filter(lambda one: one not in ("[", "(", "a**")), "isRegex": st.just(True)},
    optional={"isEqual": st.booleans()},
)
silence_starts = st.one_of(st.just("0001-01-01T00:00:00Z"), st.integers(-5, 5).map(lambda minutes: minutes * 60 + 30))
silence_ends = st.integers(6, 90).map(lambda minutes: minutes * 60 + 30)


@st.composite
def silence_fields(draw: st.DrawFn) -> dict[str, Any]:
    """A silence that both take. Its times are offsets; the example's own matcher goes anywhere among its matchers."""
    listed: list[Any] = draw(st.lists(matchers, max_size=2))
    listed.insert(draw(st.integers(0, len(listed))), None)
    return {
        "matchers": listed,
        "startsAt": draw(silence_starts),
        "endsAt": draw(silence_ends),
        "comment": draw(st.sampled_from(["why", "é\n"])),
        "createdBy": draw(st.sampled_from(["ana", "ben"])),
    }


WRONG: list[tuple[str, Any]] = [
    ("matchers", []),
    ("matchers", None),
    ("matchers", "x"),
    ("matchers", [{}]),
    ("matchers", [{"name": "", "value": "a", "isRegex": False}]),
    ("matchers", [{"name": "a-b", "value": "a", "isRegex": False}]),
    ("matchers", [{"name": "a", "value": "", "isRegex": False}]),
    ("matchers", [{"name": "a", "value": ".*", "isRegex": True}, {"name": "b", "value": "", "isRegex": False}]),
    ("matchers", [{"name": "a", "value": "[", "isRegex": True}]),
    ("matchers", [{"name": "a", "value": "b"}]),
    ("matchers", [{"name": "a", "isRegex": False}]),
    ("startsAt", None),
    ("startsAt", "x"),
    ("startsAt", 7_200),
    ("endsAt", None),
    ("endsAt", -30),
    ("endsAt", "2030-01-01"),
    ("endsAt", "0001-01-01T00:00:00Z"),
    ("comment", None),
    ("comment", 5),
    ("createdBy", None),
    ("id", "99999999-2222-3333-4444-555555555555"),
    ("id", "nothing"),
]


CHANGEABLE = ["comment", "createdBy", "endsAt", "startsAt", "matchers"]


def told(example: Example, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as a client sends them."""
    body = dict(fields)
    for name in ("startsAt", "endsAt"):
        if isinstance(body.get(name), int):
            body[name] = example.at(body[name])
    if isinstance(body.get("matchers"), list):
        body["matchers"] = [example.matcher() if one is None else one for one in body["matchers"]]
    return body


class Clients(RuleBasedStateMachine):
    """What clients may do in any order, and that both servers then tell the same."""

    pair: Pair

    @initialize()
    def begin(self) -> None:
        self.example = Example(self.pair)
        note(f"example={self.example.name}")

    def teardown(self) -> None:
        if hasattr(self, "example"):
            self.example.leave()

    @rule(batch=st.lists(good_alerts(), min_size=1, max_size=3))
    def alerts_are_posted(self, batch: list[Any]) -> None:
        self.example.post([timed(self.example, one) for one in batch])

    @rule(batch=st.lists(any_alerts(), min_size=1, max_size=2))
    def anything_is_posted(self, batch: list[Any]) -> None:
        self.example.post([timed(self.example, one) for one in batch])

    @rule(chosen=st.lists(usable_filters, max_size=2), others=queries)
    def alerts_are_read(self, chosen: list[str], others: dict[str, str]) -> None:
        self.example.check_alerts(chosen, **others)

    @rule(chosen=st.lists(usable_filters, max_size=1), others=queries)
    def groups_are_read(self, chosen: list[str], others: dict[str, str]) -> None:
        def agree() -> bool:
            self.example.check_groups(chosen, **others)
            return True

        eventually(agree, within=3, what="both to tell the same groups")

    @rule(fields=silence_fields())
    def a_silence_is_made(self, fields: dict[str, Any]) -> None:
        assert self.example.set_silence(told(self.example, fields)) is not None

    @rule(fields=silence_fields(), wrong=st.sampled_from(WRONG))
    def a_wrong_silence_is_refused(self, fields: dict[str, Any], wrong: tuple[str, Any]) -> None:
        assert self.example.set_silence(told(self.example, fields | dict([wrong]))) is None

    @precondition(lambda self: self.example.silences)
    @rule(data=st.data(), fields=silence_fields(), changed=st.sets(st.sampled_from(CHANGEABLE)))
    def a_silence_is_changed(self, data: st.DataObject, fields: dict[str, Any], changed: set[str]) -> None:
        """As a client does: read, change some fields, post what it has."""
        of = data.draw(st.sampled_from(self.example.silences))
        new = told(self.example, fields)
        bodies: list[dict[str, Any]] = []
        for side, id in zip(self.pair.sides, of.ids, strict=True):
            read = side.ask("GET", f"/api/v2/silence/{id}").told
            read = {name: value for name, value in read.items() if name not in ("status", "updatedAt")}
            bodies.append(read | {name: new[name] for name in changed})
        if bodies[0]["endsAt"] <= self.example.at(35):
            # It is over, and its end is when it was deleted, by each server's word.
            for body in bodies:
                body["endsAt"] = new["endsAt"]
        self.example.set_silences(bodies, of)

    @precondition(lambda self: self.example.silences)
    @rule(data=st.data(), turn=st.booleans())
    def a_silence_is_set_again_in_another_order(self, data: st.DataObject, turn: bool) -> None:
        of = data.draw(st.sampled_from(self.example.silences))
        body = of.body | {"matchers": of.body["matchers"][::-1] if turn else of.body["matchers"] * 2}
        if of.body.get("startsAt", "") > self.example.at(0):
            self.example.set_silence(body, of)

    @precondition(lambda self: self.example.silences)
    @rule(data=st.data())
    def a_silence_is_deleted(self, data: st.DataObject) -> None:
        self.example.delete(data.draw(st.sampled_from(self.example.silences)))

    @rule(chosen=st.lists(usable_filters, min_size=1, max_size=1))
    def silences_are_read(self, chosen: list[str]) -> None:
        self.example.check_silences(chosen)

    @invariant()
    def both_tell_the_same(self) -> None:
        self.example.check_alerts()
        self.example.check_silences()
        for one in self.example.silences[-2:]:
            self.example.check_silence(one)


def test_whatever_clients_do_both_tell_the_same(pair: Pair) -> None:
    """Alerts, groups and silences, after every step."""

    class Here(Clients):
        pass

    Here.pair = pair
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES,
            report_multiple_bugs=False,
            phases=PHASES,
            stateful_step_count=STEPS,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )


grid = st.sampled_from([-330, -270, -210, -150, -90, -30, 90, 150, 210, 330, 390, None])
words = st.lists(st.tuples(grid, grid), min_size=2, max_size=6)


@settings(max_examples=EXAMPLES * 2, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@example(said=[(-150, 210), (-270, -30), (-90, 210)])  # the word that it is over tells an earlier beginning
@example(said=[(-150, 330), (None, None), (-30, 90)])  # an end that nobody named never outlives a named one
@example(said=[(-30, 210), (-30, 210), (210, 210)])  # begins when what is known ends: another firing
@given(said=words)
def test_whatever_is_said_of_one_alert_makes_the_same_times(
    pair: Pair, said: list[tuple[int | None, int | None]]
) -> None:
    """Replicas that disagree, ends that come nearer or move away, alerts that fire again."""
    room = Example(pair)
    try:
        room.post([{"labels": room.labels()}])
        for start, end in said:
            times = {name: at for name, at in (("startsAt", start), ("endsAt", end)) if at is not None}
            room.post([timed(room, {"labels": {}, **times})])
    finally:
        room.leave()


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """What a client changes of a silence it has read; offsets for times, an order for the matchers."""
    return draw(
        st.fixed_dictionaries(
            {},
            optional={
                "comment": st.just("another reason"),
                "endsAt": silence_ends,
                "startsAt": silence_starts,
                "matchers": st.sampled_from(["turned", "doubled", "one less", "the same"]),
            },
        )
    )


@settings(max_examples=EXAMPLES, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@example(begins=330, steps=[{"matchers": "turned"}])
@example(begins=330, steps=[{"startsAt": -30}])
@example(begins=-30, steps=[{"comment": "another reason"}, {"matchers": "doubled"}])
@example(begins=-30, steps=[{"startsAt": 30}, {"startsAt": 90}, {"startsAt": -90}])
@given(begins=silence_starts, steps=st.lists(changes(), min_size=1, max_size=4))
def test_a_silence_is_changed_in_place_by_both_or_made_anew_by_both(
    pair: Pair, begins: str | int, steps: list[dict[str, Any]]
) -> None:
    """Its matchers, in their order, and what it has kept quiet so far, never change under its id."""
    room = Example(pair)
    try:
        room.post([{"labels": room.labels(job="web")}, {"labels": room.labels(job="b")}])
        web = {"name": "job", "value": "web|b", "isRegex": True}
        fields = {"matchers": [None, web], "startsAt": begins, "endsAt": 3_630, "comment": "why", "createdBy": "ana"}
        held = room.set_silence(told(room, fields))
        assert held is not None
        for step in steps:
            new = told(room, {name: value for name, value in step.items() if name != "matchers"})
            bodies = []
            for side, id in zip(pair.sides, held.ids, strict=True):
                read = side.ask("GET", f"/api/v2/silence/{id}").told
                own = read["matchers"]
                orders = {"turned": own[::-1], "doubled": own * 2, "one less": own[1:] or own}
                bodies.append(read | new | {"matchers": orders.get(step.get("matchers", ""), own)})
            held = room.set_silences(bodies, held) or held
            room.check_silences()
            room.check_alerts()
    finally:
        room.leave()


@settings(max_examples=EXAMPLES // 5, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@example(sets=[{"severity": "a", "_x": "a"}, {"severity": "a"}, {}, {"_x": "b"}, {"job": "web"}], quiet="severity")
@given(sets=st.lists(st.dictionaries(names, values, max_size=3), min_size=2, max_size=6), quiet=names)
def test_lists_and_groups_agree_under_every_flag(pair: Pair, sets: list[dict[str, str]], quiet: str) -> None:
    """Which are told, in which order, under which receiver; alerts with one of the labels are silenced."""
    room = Example(pair)
    try:
        room.post([{"labels": room.labels(**labels)} for labels in sets])
        matchers = [None, {"name": quiet, "value": ".+", "isRegex": True}]
        fields = {"startsAt": -30, "endsAt": 3_600, "comment": "why", "createdBy": "ana"}
        assert room.set_silence(told(room, fields | {"matchers": matchers})) is not None
        eventually(partial(settled, room), within=3, what="both to tell the same groups")
        for active, silenced in itertools.product(("true", "false"), repeat=2):
            for receiver in ("", "checkout"):
                asked = {"active": active, "silenced": silenced, "receiver": receiver}
                room.check_alerts([], **asked)
                room.check_groups([], **asked)
    finally:
        room.leave()


def settled(room: Example) -> bool:
    """Whether both tell the same groups."""
    room.check_groups()
    return True


def test_an_alert_whose_end_comes_is_gone_from_both(pair: Pair, example: Example) -> None:
    """Within two seconds of its end, whether it was heard once, or kept alive by a repetition until then."""
    for name, ahead in (("once", 1.5), ("again", 1.0), ("again", 4.0), ("stays", 300)):
        labels, begun = example.labels(instance=name), example.at(-60)
        example.post([{"labels": labels, "startsAt": begun, "endsAt": example.at(ahead)}])

    def shown(side: Side) -> set[str]:
        told = side.ask("GET", f"/api/v2/alerts?{example.query([])}").told
        return {one["labels"]["instance"] for one in told}

    def leaves(side: Side, left: set[str]) -> bool:
        return shown(side) == left

    for side in pair.sides:
        assert shown(side) == {"once", "again", "stays"} or now() > example.base + SECOND
    for left, at in (({"again", "stays"}, 1.5), ({"stays"}, 4.0)):
        for side in pair.sides:
            eventually(partial(leaves, side, left), within=8, what=f"only {left} to be left")
            assert at * SECOND <= now() - example.base <= (at + 2) * SECOND
    example.check_alerts()


def test_a_silence_begins_and_ends_by_itself_on_both(pair: Pair, example: Example) -> None:
    """Pending, active, expired; the alert is active, suppressed, active."""
    example.post([{"labels": example.labels(instance="a")}])
    body = {
        "matchers": [example.matcher()], "startsAt": example.at(1.2), "endsAt": example.at(3.2),
        "comment": "why", "createdBy": "ana",
    }  # fmt: skip
    silence = example.set_silence(body)
    assert silence is not None

    def told_by(side: int) -> tuple[str, str]:
        asked = pair.sides[side]
        told = asked.ask("GET", f"/api/v2/silence/{silence.ids[side]}").told
        (alert,) = asked.ask("GET", f"/api/v2/alerts?{example.query([])}").told
        return told["status"]["state"], alert["status"]["state"]

    def tells(side: int, wanted: tuple[str, str]) -> bool:
        return told_by(side) == wanted

    example.check_alerts()
    for at, wanted in ((1.2, ("active", "suppressed")), (3.2, ("expired", "active"))):
        for side in (0, 1):
            eventually(partial(tells, side, wanted), within=8, what=f"server {side} to tell {wanted}")
            assert now() - example.base <= (at + 2) * SECOND
        example.check_alerts()
        example.check_silences()


def test_a_silence_may_say_only_what_it_does_not_cover(pair: Pair, example: Example) -> None:
    """A negative matcher counts as one that says something; one that every text meets does not."""
    example.post([{"labels": example.labels()}])
    fields = {"startsAt": -30, "endsAt": 3_600, "comment": "why", "createdBy": "ana"}
    other = {"name": "example", "value": "nobody", "isRegex": False, "isEqual": False}
    made = example.set_silence(told(example, fields | {"matchers": [other]}))
    assert made is not None
    example.check_alerts()
    example.check_silence(made)
    everything = [{"name": "example", "value": value, "isRegex": True} for value in (".*", "x?")]
    assert example.set_silence(told(example, fields | {"matchers": everything})) is None
    except_empty = {"name": "absent", "value": "", "isRegex": False, "isEqual": False}
    assert example.set_silence(told(example, fields | {"matchers": [except_empty]})) is not None
    example.check_alerts()


def test_ids_are_taken_letter_for_letter(pair: Pair, example: Example) -> None:
    """One in capitals or without its dashes is another id."""
    made = example.set_silence(told(example, {
        "matchers": [None], "startsAt": -30, "endsAt": 3_600, "comment": "why", "createdBy": "ana",
    }))  # fmt: skip
    assert made is not None
    ids = [[id.upper(), id.replace("-", ""), id[:-1], id + "%20"] for id in made.ids]
    for their_id, our_id in zip(*ids, strict=True):
        for method in ("GET", "DELETE"):
            theirs = pair.theirs.ask(method, f"/api/v2/silence/{their_id}")
            ours = pair.ours.ask(method, f"/api/v2/silence/{our_id}")
            assert ours.status == theirs.status != 200
            assert ours.text.partition("uuid")[:2] == theirs.text.partition("uuid")[:2]
    example.check_silence(made)


def test_without_a_filter_everything_is_told(pair: Pair, example: Example) -> None:
    """Lists, receivers, and the shape of the status."""
    example.post([{"labels": example.labels(instance=name)} for name in "abcde"])
    theirs, ours = pair.ask("GET", "/api/v2/alerts")
    posted = [one["fingerprint"] for one in ours.told if "example" in one["labels"]]
    assert posted == [one["fingerprint"] for one in theirs.told]
    assert len(posted) >= 5
    # Deliberate difference: Tocsin's own alerts about the service are told too.
    own = [one["labels"]["alertname"] for one in ours.told if "example" not in one["labels"]]
    assert set(own) <= {"RequestParked"}
    theirs, ours = pair.ask("GET", "/api/v2/silences")
    assert len(ours.told) == len(theirs.told)
    theirs, ours = pair.ask("GET", "/api/v2/receivers")
    assert sorted(ours.told, key=str) == sorted(theirs.told, key=str)
    theirs, ours = pair.ask("GET", "/api/v2/status")
    assert ours.told.keys() == theirs.told.keys()
    assert ours.told["versionInfo"].keys() == theirs.told["versionInfo"].keys()
    assert ours.told["versionInfo"]["version"] == theirs.told["versionInfo"]["version"]
    assert ours.told["cluster"].keys() >= {"status"}
