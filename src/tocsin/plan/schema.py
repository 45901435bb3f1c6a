"""The plan language, declared: every section, its keys, what they mean. The decoder and the JSON Schema both read it.

What probes receive (``ProbeSpec.target`` and ``ProbeSpec.options``, all texts; options the plan leaves out are absent):

========  =====================  ===========================================================================
kind      target                 options
========  =====================  ===========================================================================
http      the URL                ``status`` such as ``200-399`` or ``200,204``; ``body`` an RE2 pattern to be found;
                                 ``latency`` microseconds; ``certificate_days`` whole days that must be left
tcp       ``host:port``          none
process   a name or a pidfile    ``by``: ``name`` or ``pidfile``
disk      an absolute path       one of ``used_percent`` such as ``90`` (when nothing is said) or ``97.5``;
                                 ``free_bytes``; ``folder_bytes``, the most its contents may take
redis     ``secret:NAME``        ``memory_percent`` such as ``90``
postgres  ``secret:NAME``        those that are judged: ``connections_percent``, ``wraparound_percent`` such as ``90``;
                                 ``oldest_seconds`` of a transaction; ``blocked`` sessions
peer      another Tocsin's URL   none
========  =====================  ===========================================================================
"""

from __future__ import annotations

from typing import Any, Final

from tocsin.plan import reach
from tocsin.plan.decoder import At, Choice, Either, Field, ListOf, NamesOf, Record, RecordOf, Variants
from tocsin.plan.rotas import CLOCK, DAY, HANDOFF, HOURS, HOURS_NAME, LENGTH, START, WINDOWS
from tocsin.plan.triggers import Triggered
from tocsin.plan.words import (
    ALERTS,
    BODY,
    BURST,
    CRON,
    EMAIL,
    EVERY,
    FEED,
    GRACE,
    HOLD,
    HOST_PORT,
    LABEL,
    LATENCY,
    LEVEL,
    LINE_TEMPLATE,
    LOOP_EVERY,
    LOOP_WITHIN,
    MATCHER,
    MATRIX_USER,
    MONTH,
    NAME,
    PATH,
    PERCENT,
    PERIOD,
    PROCESS,
    RATE,
    REFERENCE,
    REGEX,
    SECRET,
    SEVERITY,
    SEVERITY_WORD,
    SHARE,
    SIZE,
    SLACK_USER,
    SMTP,
    SOURCE,
    STATUS,
    SWITCH,
    TARGET,
    TEXT,
    TEXT_TEMPLATE,
    TIER,
    TIMEOUT,
    TWILIO_ACCOUNT,
    TWILIO_SENDER,
    URGENCY,
    URL,
    VERSION,
    WAIT,
    ZONE,
    whole,
)
from tocsin.playbooks.coverage import ANSWERS

LANGUAGE: Final = "1"
"""The version of the language, as ``tocsin: 1`` says it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Webhook(Record):
    """Where pages are posted, signed as Standard Webhooks."""

    what = "a webhook"
    url = Field(URL, "Where pages are posted.", required=True)
    secret = Field(SECRET, "What they are signed with: secret:NAME.", required=True)


class Person(Record):
    """Someone who can be paged."""

    what = "a person"
    later = frozenset({"chat"})
    elsewhere = dict.fromkeys(
        ("phone", "sms", "call", "telegram", "ntfy", "push", "contacts"),
        "a person's own contact methods are added and proven by them: the page You, or tocsin contact add",
    )
    name = Field(TEXT, "What people call them. Default: the name the plan uses.")
    email = Field(EMAIL, "Where mail pages go; needs `mail`.")
    timezone = Field(ZONE, "Where they live. Default: the file's time zone.")
    webhook = Field(RecordOf(Webhook), "Where pages are posted.")
    holidays = Field(
        ListOf(REFERENCE, "calendars", at_least=1, at_most=20, single=True),
        "Calendars that say when they are away. Their turns go to the next in line then.",
    )
    slack = Field(SLACK_USER, "Their member ID, for direct messages; needs `channels: {slack: …}`.")
    apprise = Field(SECRET, "An Apprise URL, by reference: secret:NAME. Reaches what Apprise reaches.")
    pagerduty = Field(SECRET, "A PagerDuty service's integration key (Events API v2), by reference: secret:NAME.")
    matrix = Field(MATRIX_USER, "Their Matrix user, who is paged in a direct room; needs `channels: {matrix: …}`.")


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


class Probe(Record):
    """What every probe can say."""

    what = "a probe"
    name = Field(NAME, "What the probe is called. Default: its kind and what it looks at.")
    every = Field(EVERY, "How often it looks. Default: 30s.")
    timeout = Field(TIMEOUT, "How long it waits for an answer, never longer than `every`. Default: 5s.")
    failures = Field(whole("a number of failures", 1, 100), "How many failures in a row make an alert. Default: 2.")
    severity = Field(SEVERITY, "How grave a failure is, as a monitor would say it. Default: critical.")


class HttpProbe(Probe):
    """Asks a URL and judges the answer."""

    what = "an http probe"
    http = Field(URL, "The URL to ask for.", required=True)
    status = Field(STATUS, "Status codes that are well. Default: 200-399.")
    body = Field(REGEX, "A regular expression (RE2) that the body must contain.")
    latency = Field(LATENCY, "An answer that takes longer is a failure.")
    certificate_days = Field(whole("a number of days", 1, 3650), "How many days its certificate must be good for.")


class TcpProbe(Probe):
    """Opens a connection and closes it again."""

    what = "a tcp probe"
    tcp = Field(HOST_PORT, "The host:port to connect to.", required=True)


class Pidfile(Record):
    """A file that holds the number of a process."""

    what = "a mapping with the key pidfile"
    pidfile = Field(PATH, "Its absolute path.", required=True)


class ProcessProbe(Probe):
    """Looks whether a process runs on this machine."""

    what = "a process probe"
    process = Field(Either(PROCESS, RecordOf(Pidfile)), "The process' name, or {pidfile: /run/it.pid}.", required=True)


class DiskProbe(Probe):
    """Looks how full the file system of a path is."""

    what = "a disk probe"
    exclusive = (("used", "free", "contents"),)
    disk = Field(PATH, "An absolute path on the disk to watch.", required=True)
    used = Field(PERCENT, "Used this much or more is a failure. Default: 90%.")
    free = Field(SIZE, "Less free than this is a failure, such as 2GB.")
    contents = Field(SIZE, "The folder holding more than this is a failure, such as 500MB.")


class RedisProbe(Probe):
    """Asks a Redis or Valkey server how much memory it uses."""

    what = "a redis probe"
    redis = Field(SECRET, "The address it is read by, as secret:NAME.", required=True)
    memory = Field(PERCENT, "This much or more of its memory's limit is a failure. Default: 90%.")


class PostgresProbe(Probe):
    """Asks a PostgreSQL server for its connections, transactions and locks."""

    what = "a postgres probe"
    postgres = Field(SECRET, "The address it is read by, as secret:NAME.", required=True)
    connections = Field(PERCENT, "This much or more of its connections is a failure. Default: 90%, if nothing is said.")
    wraparound = Field(PERCENT, "This much or more of its transaction ids is. Default: 50%, if nothing is said.")
    oldest_transaction = Field(PERIOD, "A transaction that has been open for so long is a failure.")
    blocked = Field(whole("a number of sessions", 1, 10_000), "So many sessions that wait for a lock are a failure.")


class PeerProbe(Probe):
    """Asks another Tocsin whether it is well."""

    what = "a peer probe"
    peer = Field(URL, "The other Tocsin's address; its /readyz is asked.", required=True)


PROBES: Final[dict[str, type[Probe]]] = {
    "http": HttpProbe,
    "tcp": TcpProbe,
    "process": ProcessProbe,
    "disk": DiskProbe,
    "redis": RedisProbe,
    "postgres": PostgresProbe,
    "peer": PeerProbe,
}
_LATER_PROBES: Final = _words(
    "postgresql mysql rabbitmq kafka dns icmp ping certificate grpc sqs lambda command"
)


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
    }
    redis = Field(SECRET, "A Redis or Valkey server: the address it is read by, as secret:NAME.")
    postgres = Field(SECRET, "A PostgreSQL server: the address it is read by, as secret:NAME.")
    process = Field(PATH, "A process on the machine Tocsin runs on: the absolute path of its pid file.")
    command = Field(TEXT, "What the process' command line contains. A pid that is something else is not touched.")
    health = Field(URL, "Where the process says by HTTP that it is well.")
    restart_with = Field(
        ListOf(TEXT, "words", at_most=50, single=True),
        "supervisor, when something starts the process again whenever it ends; or a command in words, such as "
        "[systemctl, restart, payments]. Without it the process is only looked at.",
    )
    folder = Field(PATH, "A folder on the machine Tocsin runs on, at least two names deep.")
    delete = Field(
        ListOf(TEXT, "patterns", at_most=50, single=True),
        "Which of the folder's files may be deleted, such as '*.log.*'. Without it the folder is only looked at.",
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


class UrgencyOf(Record):
    """How urgent each severity is."""

    what = "a mapping of severities to high or low"
    sev1 = Field(URGENCY, "How urgent a sev1 is.")
    sev2 = Field(URGENCY, "How urgent a sev2 is.")
    sev3 = Field(URGENCY, "How urgent a sev3 is.")
    sev4 = Field(URGENCY, "How urgent a sev4 is.")


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
    urgency = Field(
        Either(URGENCY, RecordOf(UrgencyOf)),
        "high pages at any hour, low waits for the person's morning; one word, or by severity: {sev4: low}. "
        "Default: high.",
    )
    probes = Field(
        ListOf(Variants("a probe", PROBES, _LATER_PROBES), "probes", at_most=1_000), "What Tocsin looks at by itself."
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


class Mail(Record):
    """The mail server pages leave through."""

    what = "a mail server"
    together = {"user": "password", "password": "user"}
    server = Field(SMTP, "smtp://, smtp+starttls:// or smtps:// and host:port.", required=True)
    sender = Field(EMAIL, "The address pages come from.", required=True, key="from")
    user = Field(TEXT, "Who signs in.")
    password = Field(SECRET, "With what: secret:NAME.")


class Matrix(Record):
    """The Matrix server pages leave through, and the user that sends them."""

    what = "a Matrix server"
    server = Field(URL, "The homeserver's address, such as https://matrix.shop.example.", required=True)
    token = Field(SECRET, "The access token of the user that sends: secret:NAME.", required=True)


class PagerDuty(Record):
    """Where PagerDuty's events go."""

    what = "PagerDuty's address"
    server = Field(URL, "Default: https://events.pagerduty.com; in Europe https://events.eu.pagerduty.com.")


class Slack(Record):
    """The Slack app pages leave through."""

    what = "a Slack app"
    token = Field(SECRET, "Its bot token (xoxb-…), by reference: secret:NAME.", required=True)
    signing_secret = Field(SECRET, "What Slack signs button presses with, which it posts here: secret:NAME.")
    app_token = Field(SECRET, "Instead: its app-level token (xapp-…). Presses come by a connection to Slack then.")
    server = Field(URL, "Where its Web API is. Default: https://slack.com.")


class Twilio(Record):
    """The Twilio account that sends text messages and calls."""

    what = "a Twilio account"
    account = Field(TWILIO_ACCOUNT, "Its Account SID (AC…).", required=True)
    token = Field(SECRET, "Its auth token: secret:NAME. What Twilio tells is signed with it.", required=True)
    sender = Field(TWILIO_SENDER, "The number messages and calls come from.", required=True, key="from")
    server = Field(URL, "Default: https://api.twilio.com.")


class Push(Record):
    """Web push. People add their own devices in Tocsin's settings."""

    what = "web push"
    contact = Field(EMAIL, "Whom a push service may write to when something is wrong. Default: Tocsin's own address.")


class Channels(Record):
    """The ways to reach people that have to be set up once for everybody."""

    what = "the channels"
    push = Field(RecordOf(Push), "Pages as notifications of the web app, on devices people add themselves.")
    slack = Field(RecordOf(Slack), "Pages as direct messages in Slack, with a button that acknowledges.")
    twilio = Field(RecordOf(Twilio), "Text messages and calls by Twilio, acknowledged by a reply or a key.")
    pagerduty = Field(RecordOf(PagerDuty), "Incidents handed to PagerDuty, which follows them until they are over.")
    matrix = Field(RecordOf(Matrix), "Pages as direct messages on Matrix; acknowledged by a reaction or a reply.")


class OwnText(Record):
    """The team's own words for a channel that has no subject."""

    what = "the words of a channel"
    text = Field(TEXT_TEMPLATE, "What a page says, with placeholders such as $title.", required=True)


class OwnWords(Record):
    """The team's own words for a channel: text with placeholders."""

    what = "the words of a channel"
    subject = Field(LINE_TEMPLATE, "The one line: subject or head. Default: [SEV1] checkout: what is wrong (#12).")
    text = Field(TEXT_TEMPLATE, "What follows it. How to answer, and that it may be a repetition, is always added.")


class Messages(Record):
    """The team's own words for pages. What is left out is said in Tocsin's words."""

    what = "the messages"
    email = Field(RecordOf(OwnWords), "Mails.")
    matrix = Field(RecordOf(OwnWords), "Messages on Matrix.")
    slack = Field(RecordOf(OwnWords), "Messages in Slack.")
    push = Field(RecordOf(OwnWords), "Notifications: their title and their text.")
    apprise = Field(RecordOf(OwnWords), "What Apprise hands on.")
    sms = Field(RecordOf(OwnText), "Text messages, at most 320 characters of it.")
    call = Field(RecordOf(OwnText), "What a call says before it asks for a key.")


class Coverage(Record):
    """How much of what may fire is to be answered by code."""

    what = "a threshold of coverage"
    at_least = Field(SHARE, "So many of all alert rules, such as 80%.", required=True)
    counting = Field(
        ListOf(Choice("an answer", *ANSWERS), "answers", at_least=1, at_most=5, single=True),
        "What counts as an answer. Default: [act, ask].",
    )


class SyntheticPage(Record):
    """Tocsin pages itself through the channels named, and somebody is told when such a page does not come back."""

    what = "a synthetic page"
    every = Field(LOOP_EVERY, "How often one leaves by each channel. Default: 1h.")
    within = Field(LOOP_WITHIN, "How soon it must be back, before the next one leaves. Default: 5m.")
    service = Field(REFERENCE, "Whose people are told, by other channels, when one is not back. Default: inbox.")
    webhook = Field(URL, "Where one is posted: Tocsin's own /loopback, the long way round as people's pages go.")
    email = Field(EMAIL, "A mailbox whose mail server posts what comes in to Tocsin's /loopback.")
    matrix = Field(MATRIX_USER, "A Matrix user of yours who is nobody; Tocsin hears the message in the room itself.")
    sms = Field(TWILIO_SENDER, "A number of yours that nobody reads; Twilio tells that the text message arrived.")
    call = Field(TWILIO_SENDER, "A number of yours that picks up by itself; Twilio tells that it did.")
    apprise = Field(SECRET, "An Apprise URL, by reference, of what posts to Tocsin's /loopback: json://…, secret:NAME.")


class PlanFile(Record):
    """A Tocsin plan, or one file of it. Names are global in the workspace and owned by the file that defines them."""

    what = "a plan file"
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
