"""The plan language, declared: its sections and their keys. The decoder and the JSON Schema both read it."""

from __future__ import annotations

from typing import Any, Final

from tocsin.intake.looking import probed
from tocsin.notation.decoder import At, Choice, Either, Field, ListOf, NamesOf, Record, RecordOf, Variants
from tocsin.notation.words import BURST, NAME, PATH, PERIOD, SECRET, SEVERITY, SWITCH, TEXT, TITLE, URL, whole
from tocsin.pages.profiles import profiles, theirs
from tocsin.plan import reach
from tocsin.plan.channels import Channels, Mail, Messages
from tocsin.plan.probes import LATER
from tocsin.plan.rotas import CLOCK, DAY, HANDOFF, HOURS, HOURS_NAME, LENGTH, START, WINDOWS
from tocsin.plan.severities import UrgencyOf
from tocsin.plan.synthetic import SyntheticPage
from tocsin.plan.triggers import Triggered
from tocsin.plan.words import (
    ALERTS,
    BODY,
    CODE,
    CRON,
    FEED,
    GRACE,
    HOLD,
    LABEL,
    LEVEL,
    MATCHER,
    MONTH,
    RATE,
    REFERENCE,
    SEVERITY_WORD,
    SHARE,
    SOURCE,
    TARGET,
    TIER,
    URGENCY,
    VERSION,
    WAIT,
    ZONE,
)
from tocsin.playbooks.coverage import ANSWERS

LANGUAGE: Final = "1"
"""The version of the language, as ``tocsin: 1`` says it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ADDRESSES: Final = {name: one.address for name, one in profiles().items() if one.address is not None}


class Person(Record, more={name: Field(one.shape, one.about) for name, one in _ADDRESSES.items()}):
    """Someone who can be paged."""

    what = "a person"
    later = frozenset({"chat"})
    elsewhere = dict.fromkeys(
        ("phone", "ntfy", "contacts", *sorted(theirs())),
        "a person's own contact methods are added and proven by them: the page You, or tocsin contact add",
    )
    name = Field(TEXT, "What people call them. Default: the name the plan uses.")
    timezone = Field(ZONE, "Where they live. Default: the file's time zone.")
    holidays = Field(
        ListOf(REFERENCE, "calendars", at_least=1, at_most=20, single=True),
        "Calendars that say when they are away. Their turns go to the next in line then.",
    )


class Calendar(Record):
    """A calendar that is kept elsewhere."""

    what = "a calendar"
    ical = Field(FEED, "Where it is read from: a URL, or secret:NAME where that is a secret.", required=True)
    every = Field(PERIOD, "How often it is read. Default: 15m.")


class Team(Record):
    """People who answer together."""

    what = "a team"
    later = frozenset({"schedule", "slack", "chat"})
    members = Field(ListOf(REFERENCE, "people", at_least=1), "Who is in it, the first one first.", required=True)
    lead = Field(REFERENCE, "Who answers for it: the last resort, when nothing else is said.")


class Heartbeat(Record):
    """A sign of life that must keep coming, by ping or by an alert that always fires."""

    what = "a heartbeat"
    one_of = (("every", "cron"),)
    together = {"timezone": "cron"}
    every = Field(PERIOD, "How often it comes.")
    cron = Field(CRON, "When it comes, as a cron line of five fields.")
    timezone = Field(ZONE, "Where the cron line is meant. Default: the file's time zone.")
    grace = Field(GRACE, "How late it may be. Default: 5m.")
    severity = Field(SEVERITY, "How grave its absence is. Default: critical.")
    title = Field(TITLE, "What its absence means to people, such as Orders are not shipped. Default: what happened.")
    alert = Field(
        ListOf(MATCHER, "matchers", at_least=1, at_most=50, single=True),
        "An alert that counts as the sign of life, such as alertname=Watchdog.",
    )


class KeyLimits(Record):
    """How much a key may send. What is left out is as for every key."""

    what = "limits of a key"
    rate = Field(RATE, "Requests per second, such as 50/s. Default: 2000/s.")
    burst = Field(BURST, "How many requests may come at once. Default: five seconds of the rate.")
    body = Field(BODY, "The longest request. Default: 4MiB.")
    alerts = Field(ALERTS, "How many alerts one request may hold. Default: 5000.")


class Key(Record):
    """A key monitors send with, declared here by reference."""

    what = "a key"
    source = Field(SOURCE, "Which wire format it is for. A heartbeat's key has the heartbeat's name.", required=True)
    secret = Field(At(SECRET), "The key itself: secret:NAME.", required=True)
    limits = Field(RecordOf(KeyLimits), "How much it may send, where that is not as for every key.")


class Target(Record):
    """A system that playbooks look at and change. Its name is the lock: one run at a time."""

    what = "a target"
    one_of = (
        ("redis", "postgres", "process", "folder", "ssh", "http", "haproxy", "supervisor", "systemd", "dial", "kind"),
    )
    together = {
        "kind": "look with",
        "look with": ("kind", "ssh", "http", "supervisor", "dial"),
        "process": "command",
        "command": "process",
        "health": "process",
        "restart with": "process",
        "delete": "folder",
        "rotate": "folder",
        "on": ("folder", "process"),
    }
    redis = Field(SECRET, "A Redis or Valkey server: the address it is read by, as secret:NAME.")
    postgres = Field(SECRET, "A PostgreSQL server: the address it is read by, as secret:NAME.")
    process = Field(PATH, "A process, by the absolute path of its pid file: here, or on the machine `on` names.")
    command = Field(TEXT, "What the process' command line contains. A pid that is something else is not touched.")
    health = Field(URL, "Where the process says by HTTP that it is well.")
    restart_with = Field(
        ListOf(TEXT, "words", at_most=50, single=True),
        "supervisor, when something starts the process again whenever it ends; or a command in words, such as "
        "[systemctl, restart, payments]. Without it the process is only looked at.",
    )
    folder = Field(PATH, "A folder, at least two names deep: on the machine Tocsin runs on, or on the one `on` names.")
    on = Field(REFERENCE, "The ssh target where the folder or process is; it needs python3. Default: where Tocsin is.")
    delete = Field(
        ListOf(TEXT, "patterns", at_most=50, single=True),
        "Which of the folder's files may be deleted, such as '*.log.*'. Without it and rotate it is only looked at.",
    )
    rotate = Field(
        ListOf(TEXT, "words", at_least=1, at_most=50),
        "What rotates the logs in the folder, in words, such as [logrotate, -f, /etc/logrotate.d/shop].",
    )
    ssh = Field(RecordOf(reach.Ssh), "A machine reached by SSH: who looks and who fixes there, and its host keys.")
    http = Field(RecordOf(reach.Http), "One instance of an HTTP service.")
    haproxy = Field(RecordOf(reach.Haproxy), "One server behind HAProxy, by its runtime socket.")
    supervisor = Field(RecordOf(reach.Supervised), "A program that supervisor runs.")
    systemd = Field(RecordOf(reach.Systemd), "A service that systemd runs, here or on a machine reached by SSH.")
    dial = Field(RecordOf(reach.Dial), "A number to be read, and set within bounds, such as how many replicas run.")
    kind = Field(NAME, "The kind of another system, as the library for it calls it.")
    look_with = Field(SECRET, "What it is looked at with: secret:NAME. A private key for ssh.")
    fix_with = Field(SECRET, "What reaches it to change it: secret:NAME. Without one that is needed, nothing is.")
    match = Field(
        ListOf(MATCHER, "matchers", at_most=50, single=True),
        "The alerts that are about this one of several. Default: every alert of the service.",
    )


class EscalationOf(Record):
    """Which escalation each severity has."""

    what = "a mapping of severities to escalations"
    sev1 = Field(REFERENCE, "The escalation of a sev1. What is not named follows the next graver one that is.")
    sev2 = Field(REFERENCE, "The escalation of a sev2.")
    sev3 = Field(REFERENCE, "The escalation of a sev3.")
    sev4 = Field(REFERENCE, "The escalation of a sev4.")


class Service(Record):
    """What alerts are about, and who answers for it."""

    what = "a service"
    later = _words("provider objectives objective schedule maintenance customers runbook trust")
    about = Field(TEXT, "One sentence on what it does.")
    tier = Field(TIER, "How much depends on it: 1 the most, 5 the least. Default: 3.")
    team = Field(REFERENCE, "Who owns it. Default: the file's team.")
    needs = Field(ListOf(REFERENCE, "services"), "The services it cannot work without.")
    escalation = Field(
        Either(REFERENCE, RecordOf(EscalationOf)),
        "Who is paged, in which order; one name, or by severity: {sev1: all-hands, sev3: shop}. "
        "Default: the last resort.",
    )
    escalation_for = Field(
        NamesOf(NAME, REFERENCE, "escalations"),
        "Who is paged instead where a customer of a tier is concerned: {gold: vip}. It goes before severities.",
    )
    customer_tier = Field(REFERENCE, "The tier of its customers, where no alert says which. Default: none.")
    hours = Field(REFERENCE, "Hours outside of which its incidents of low urgency wait. Default: none.")
    acknowledge_for = Field(HOLD, "How long an acknowledgement holds before paging goes on. Default: 1h.")
    reopen_within = Field(MONTH, "Trouble that returns this soon reopens its incident. Default: 30m.")
    wait_for_code = Field(
        CODE,
        "How long its pages wait for playbooks in all, over all targets of an incident. "
        "Default: 30m, or as long as its slowest playbook may take and its alerts have to end.",
    )
    urgency = Field(
        Either(URGENCY, RecordOf(UrgencyOf)),
        "high pages at any hour, low waits for the person's morning; one word, or by severity: {sev4: low}. "
        "Default: high.",
    )
    probes = Field(
        ListOf(Variants("a probe", probed(), LATER), "probes", at_most=1_000), "What Tocsin looks at by itself."
    )
    heartbeats = Field(NamesOf(NAME, RecordOf(Heartbeat), "heartbeats"), "Signs of life that must keep coming.")
    keys = Field(NamesOf(NAME, RecordOf(Key), "keys"), "Keys that monitors send this service's alerts with.")
    playbooks = Field(
        ListOf(REFERENCE, "playbooks", at_most=100, single=True),
        "The playbooks that answer its alerts, the first that may run. Their code is in the plan's folder playbooks/.",
    )
    targets = Field(
        NamesOf(NAME, RecordOf(Target), "targets"), "The systems its playbooks may look at and change, by reference."
    )
    triggers = Field(
        NamesOf(NAME, RecordOf(Triggered), "triggers"), "Keys with which other programs have its playbooks run."
    )


class Hours(Record):
    """Business hours, by name."""

    what = "hours"
    timezone = Field(ZONE, "Where they are meant. Default: the file's time zone.")
    open = Field(
        ListOf(WINDOWS, "hours of the week", at_least=1, at_most=100, single=True),
        "When they are open, such as Mon-Fri 09:00-18:00.",
        required=True,
    )
    closed = Field(ListOf(DAY, "days", at_most=2_000, single=True), "Whole days on which they are not: 2026-12-25.")
    holidays = Field(
        ListOf(REFERENCE, "calendars", at_least=1, at_most=20, single=True),
        "Calendars whose entries close them as well. Not for layers.",
    )


class Condition(Record):
    """What a step asks for. All of it must hold; else the next step follows at once."""

    what = "a condition"
    severity = Field(ListOf(LEVEL, "severities", at_least=1, single=True), "One of these: sev1, [sev1, sev2].")
    hours = Field(HOURS_NAME, "In these hours: office, or outside office.")
    match = Field(
        ListOf(MATCHER, "matchers", at_least=1, at_most=50, single=True),
        "Labels of the incident, such as region=eu.",
    )
    customer_tier = Field(
        ListOf(REFERENCE, "customer tiers", at_least=1, at_most=50, single=True),
        "One of these `customer tiers`: gold, [gold, silver].",
    )


class Layer(Record):
    """People who take turns. Where several layers of a schedule apply, the last one counts."""

    what = "a layer"
    later = _words("holidays ical until ends members team")
    one_of = (("rotate", "calendar"),)
    calendar = Field(REFERENCE, "A calendar of `calendars`: a rota kept elsewhere, over the layers before it.")
    name = Field(NAME, "What the layer is called. Default: `layer 1`, `layer 2`, in their order.")
    rotate = Field(
        ListOf(
            ListOf(REFERENCE, "people", at_least=1, at_most=50, single=True),
            "turns",
            at_least=1,
            at_most=500,
            single=True,
        ),
        "Who takes turns, in order. Several who are on call together stand in brackets: [[ana, ben], kei].",
    )
    every = Field(LENGTH, "How long a turn is: hour, day, week, month, 12h, 3 days, 2 weeks. By the clock on the wall.")
    handoff = Field(
        HANDOFF,
        "When turns change: 09:00, with a weekday (Mon 09:00) for weeks, a day (1 09:00) for months. Default: 09:00.",
    )
    starts = Field(
        START, "From which day turns count, and whose turn it is then: 2026-11-16 with ana. Default: Mon 2000-01-03."
    )
    timezone = Field(ZONE, "Where its times are meant. Default: the schedule's.")
    only = Field(
        ListOf(HOURS, "hours of the week", at_least=1, at_most=100, single=True),
        "The hours it is meant for, such as Mon-Fri 09:00-18:00. Default: always.",
    )
    shadow = Field(
        ListOf(REFERENCE, "people", at_least=1, at_most=50, single=True),
        "Who gets a copy of every page while it applies. A copy reaches nobody: it never stands for a page.",
    )


class Schedule(Record):
    """Who is on call when."""

    what = "a schedule"
    later = _words("overrides holidays ical")
    about = Field(TEXT, "One sentence on what it is for.")
    timezone = Field(ZONE, "Where its times are meant. Default: the file's time zone.")
    layers = Field(
        ListOf(RecordOf(Layer), "layers", at_least=1, at_most=50),
        "Who takes turns, the later over the earlier. Needed where there is no `calendar`.",
    )
    calendar = Field(REFERENCE, "A calendar of `calendars` that lies over the layers: a rota kept elsewhere.")
    handoff_notice = Field(SWITCH, "Whether those who come on call and go are told. Default: on.")


class Step(Record):
    """Page these, then wait."""

    what = "an escalation step"
    later = frozenset({"notify", "urgency", "unless"})
    elsewhere = {"only": "hours, severities and labels a step is for stand under `when`"}
    one_of = (("page", "page one of"),)
    page = Field(
        ListOf(TARGET, "people, teams and schedules", at_least=1, at_most=100, single=True),
        "Whom to page: a person, `team NAME`, a schedule, `next on SCHEDULE`, `previous on SCHEDULE`, or a list.",
    )
    page_one_of = Field(
        ListOf(TARGET, "people, teams and schedules", at_least=1, at_most=100, single=True),
        "The same, but only one of them is paged, each in turn from incident to incident.",
    )
    wait = Field(WAIT, "How long to wait for an acknowledgement. Default: 5m.")
    repeat = Field(whole("a number of times", 1, 100), "How many times the step is paged in all. Default: 1.")
    when = Field(RecordOf(Condition), "What it is for: severities, hours, labels. Default: always.")
    until_acknowledged_by = Field(
        whole("a number of people", 1, 20),
        "So many people have to acknowledge; the highest of an escalation counts. Default: 1.",
    )


class Group(Record):
    """Which alerts become one incident."""

    what = "a grouping"
    by = Field(ListOf(LABEL, "labels", at_most=50), "Alerts with equal values of these labels belong together.")
    window = Field(
        MONTH, "A new alert joins only this soon after the last one did. Default: as long as the incident is open."
    )


class Route(Record):
    """Which alerts belong to which service. The first route that matches wins."""

    what = "a route"
    later = frozenset({"escalation", "playbooks", "continue", "inhibit", "silence"})
    match = Field(
        ListOf(MATCHER, "matchers", at_most=50, single=True),
        "Conditions that must all hold; [] takes everything.",
        required=True,
    )
    service = Field(REFERENCE, "Where they go.", required=True)
    group = Field(RecordOf(Group), "Which of them become one incident. Default: by alertname.")
    urgency = Field(
        Either(URGENCY, RecordOf(UrgencyOf)),
        "high or low, or by severity: {sev3: low, sev4: low}. Default: as the service says.",
    )
    severity = Field(
        NamesOf(SEVERITY_WORD, LEVEL, "severities"), "The monitor's words, and what they mean here: sev1 to sev4."
    )


class Coverage(Record):
    """How much of what may fire is to be answered by code."""

    what = "a threshold of coverage"
    at_least = Field(SHARE, "So many of all alert rules, such as 80%.", required=True)
    counting = Field(
        ListOf(Choice("an answer", *ANSWERS), "answers", at_least=1, at_most=5, single=True),
        "What counts as an answer. Default: [act, ask].",
    )


class PlanFile(Record):
    """A Tocsin plan, or one file of it. Names are global in the workspace and owned by the file that defines them."""

    what = "a plan file"
    elsewhere = dict.fromkeys(
        ("keys", "probes", "heartbeats"), "write it under a service: services: {NAME: {…}}"
    )
    later = _words(
        "maintenance playbooks targets provider providers customers objectives silences drills overrides "
        "trust changes chat"
    ) | {"status page"}
    tocsin = Field(VERSION, "The version of the plan language: `tocsin: 1`.", required=True)
    team = Field(REFERENCE, "Who owns what this file defines: all people of such files, unless `teams` says otherwise.")
    timezone = Field(
        ZONE, "Where this file's people and cron lines are. Default: as the other files, when they agree, else UTC."
    )
    people = Field(NamesOf(NAME, RecordOf(Person), "people"), "Who can be paged.")
    teams = Field(NamesOf(NAME, RecordOf(Team), "teams"), "People who answer together.")
    services = Field(NamesOf(NAME, RecordOf(Service), "services"), "What alerts are about.")
    hours = Field(NamesOf(NAME, RecordOf(Hours), "hours"), "Business hours, by name.")
    customer_tiers = Field(
        ListOf(REFERENCE, "customer tiers", at_least=1, at_most=50),
        "What customers are worth waking somebody for, the highest first: [gold, silver].",
    )
    customer_tier_label = Field(LABEL, "The label of alerts that says a customer's tier. Default: customer_tier.")
    calendars = Field(NamesOf(NAME, RecordOf(Calendar), "calendars"), "Rotas and holidays that are kept elsewhere.")
    schedules = Field(NamesOf(NAME, RecordOf(Schedule), "schedules"), "Who is on call when.")
    escalations = Field(
        NamesOf(NAME, ListOf(RecordOf(Step), "steps", at_least=1, at_most=100), "escalations"),
        "Who is paged, in which order.",
    )
    routes = Field(
        ListOf(RecordOf(Route), "routes"),
        "Which alerts belong to which service. Files count in the order of their names.",
    )
    mail = Field(RecordOf(Mail), "The mail server pages leave through.")
    channels = Field(RecordOf(Channels), "Other ways pages leave by, each set up once for everybody.")
    last_resort = Field(
        ListOf(TARGET, "people and teams", at_least=1, at_most=100, single=True),
        "Who is paged when nobody else can be. Default: the first team's lead, else that team, else the first person.",
    )
    messages = Field(RecordOf(Messages), "The team's own words for pages, by channel, with placeholders like $title.")
    synthetic_page = Field(
        RecordOf(SyntheticPage), "On a timetable Tocsin pages itself through each of these channels, and back."
    )
    coverage = Field(RecordOf(Coverage), "How much is to be answered by code, or `tocsin plan check` fails.")
    findings_notice = Field(
        CLOCK,
        "When it is told each day what is wrong with schedules: a time such as 09:00, or off. Default: 09:00.",
    )
    outside_heartbeat = Field(
        URL, "A URL fetched whenever Tocsin finds itself well, so that something outside notices when not."
    )


def json_schema() -> dict[str, Any]:
    """The language as JSON Schema 2020-12, for editors. Names and circles are for ``read_plan`` to check."""
    defs: dict[str, Any] = {}
    top = RecordOf(PlanFile).json(defs)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tocsin plan", **top, "$defs": defs}
