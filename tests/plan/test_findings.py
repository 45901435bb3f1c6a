"""What is wrong with a plan is said all at once, each with its line and what to write instead."""

from __future__ import annotations

import pytest

from tests.plan.written import HEAD, good, read, warned, wrong
from tocsin.notation.findings import MAX_FINDINGS, Finding
from tocsin.plan import read_plan

SERVICE = "services:\n  a:\n    "
PROBE = SERVICE + "probes:\n      - "
BEAT = SERVICE + "heartbeats:\n      b: "
STEP = "escalations:\n  e:\n    - "
ROUTE = "routes:\n  - "

HERE = "§"
"""Where the finding must point."""

MISTAKES = {
    "an unknown key": (
        "§servces: {}",
        "unknown key 'servces' in a plan file",
        "did you mean services?",
    ),
    "a service's keys at the top": (
        "§keys: [{source: events}]",
        "'keys' is not part of a plan file",
        "write it under a service: services: {NAME: {…}}",
    ),
    "an underscore": (
        SERVICE + "§acknowledge_for: 1h",
        "unknown key 'acknowledge_for' in a service",
        "did you mean acknowledge for?",
    ),
    "a key of a later version": (
        "§maintenance: {}",
        "'maintenance' is not supported by this version",
        "",
    ),
    "a service's key of a later version": (
        SERVICE + "§runbook: x",
        "'runbook' is not supported by this version",
        "",
    ),
    "a playbook that no code declares": (
        SERVICE + "playbooks: [§x]",
        "unknown playbook 'x'",
        "it belongs into the plan's folder playbooks/, as a *.py, *.yaml or *.md file",
    ),
    "a customer tier the plan does not have": (
        "customer tiers: [gold]\n" + STEP + "{page: ana, when: {customer tier: §silver}}",
        "unknown customer tier 'silver'",
        "known here: gold",
    ),
    "customer tiers that nobody named": (
        SERVICE + "customer tier: §gold",
        "unknown customer tier 'gold'",
        "say which there are, the highest first: customer tiers: [gold, silver]",
    ),
    "a probe of a later version": (
        PROBE + "{§kafka: secret:x}",
        "'kafka' is not supported by this version in a probe",
        "it knows http, tcp, process, disk, redis",
    ),
    "a probe's kind misspelt": (
        PROBE + "{§htpp: x}",
        "unknown kind 'htpp'",
        "did you mean http?",
    ),
    "a probe of no kind": (
        PROBE + "§{every: 5s}",
        "a probe says what it looks at",
        "write one of the keys http, tcp, process, disk",
    ),
    "a probe of two kinds": (
        PROBE + "{tcp: 'a:1', §disk: /}",
        "a probe has one kind, not both tcp and disk",
        "make it two",
    ),
    "a list for a mapping": (
        "services: §[a]",
        "expected a mapping from names to services, found a list",
        "",
    ),
    "a mapping for a list": (
        "routes: §{a: b}",
        "expected a list of routes, found a mapping",
        "",
    ),
    "a text for a list": (
        SERVICE + "needs: §a",
        "expected a list of services, found a text",
        "put it in brackets: [a]",
    ),
    "a list for a text": (
        SERVICE + "about: §[a]",
        "expected a text, found a list",
        "",
    ),
    "nothing for a text": (
        SERVICE + "about:§",
        "expected a text, found nothing",
        "leave the key out to have its default",
    ),
    "a bad name": (
        "services: {§Check Out: {}}",
        "'Check Out' is not a name",
        "names are up to 64 lower-case letters",
    ),
    "a tier": (
        SERVICE + "tier: §6",
        "6 is not a tier",
        "write a whole number from 1 to 5",
    ),
    "a tier in words": (
        SERVICE + "tier: §high",
        "'high' is not a tier",
        "write a whole number from 1 to 5",
    ),
    "a duration without unit": (
        STEP + "{page: ana, wait: §5}",
        "'5' is not a duration",
        "a number and its unit",
    ),
    "a duration's unit": (
        STEP + "{page: ana, wait: §5 min}",
        "'5 min' is not a duration",
        "a number and its unit",
    ),
    "a duration out of bounds": (
        STEP + "{page: ana, wait: §0s}",
        "'0s' is out of bounds here",
        "write a duration from 1s to 1w",
    ),
    "repeat none": (
        STEP + "{page: ana, repeat: §0}",
        "0 is not a number of times",
        "from 1 to 100",
    ),
    "page missing": (
        STEP + "§{wait: 5m}",
        "an escalation step needs exactly one of page and page one of; found none",
        "",
    ),
    "nobody to page": (
        STEP + "{page: §[]}",
        "expected a list of people, teams and schedules, at least 1; found none",
        "",
    ),
    "no steps": (
        "escalations: {e: §[]}",
        "expected a list of steps, at least 1; found none",
        "",
    ),
    "an unknown person": (
        STEP + "{page: §anna}",
        "unknown person 'anna'",
        "did you mean ana?",
    ),
    "a team without its word": (
        STEP + "{page: §shop}",
        "unknown person 'shop'",
        "shop is a team: write `team shop`",
    ),
    "another kind of thing in a step": (
        "escalations: {e: [{page: ana}], f: [{page: §e}]}",
        "unknown person 'e'",
        "e is an escalation: name a person, a team or a schedule",
    ),
    "a service in a step": (
        "services: {till: {}}\n" + STEP + "{page: §till}",
        "unknown person 'till'",
        "till is a service: name a person, a team or a schedule",
    ),
    "an unknown team": (
        STEP + "{page: [ana, §team shpo]}",
        "unknown team 'shpo'",
        "did you mean shop?",
    ),
    "an unknown service needed": (
        "services: {checkout: {needs: [§payment]}, payments: {}}",
        "unknown service 'payment'",
        "did you mean payments?",
    ),
    "an unknown escalation": (
        SERVICE + "escalation: §shop",
        "unknown escalation 'shop'",
        "",
    ),
    "an unknown owner": (
        SERVICE + "team: §shp",
        "unknown team 'shp'",
        "did you mean shop?",
    ),
    "an unknown member": (
        "teams: {t: {members: [§bob]}}",
        "unknown person 'bob'",
        "known here: ana, ben",
    ),
    "an unknown lead": (
        "teams: {t: {members: [ana], lead: §bne}}",
        "unknown person 'bne'",
        "did you mean ben?",
    ),
    "a route to nowhere": (
        ROUTE + "{match: [a=b], service: §inbx}",
        "unknown service 'inbx'",
        "did you mean inbox?",
    ),
    "a last resort unknown": (
        "last resort: §annna",
        "unknown person 'annna'",
        "did you mean ana?",
    ),
    "a team of nobody": (
        "teams: {t: {members: §[]}}",
        "expected a list of people, at least 1; found none",
        "",
    ),
    "a circle": (
        "services: {a: {needs: [b]}, b: {needs: [c]}, c: {needs: [§a]}}",
        "services need each other in a circle: a needs b needs c needs a",
        "",
    ),
    "a service that needs itself": (
        SERVICE + "needs: [§a]",
        "services need each other in a circle: a needs a",
        "",
    ),
    "a time zone": (
        "timezone: §Europe/Madird",
        "unknown time zone 'Europe/Madird'",
        "did you mean Europe/Madrid?",
    ),
    "a city for a time zone": (
        BEAT + "{cron: 0 3 * * *, timezone: §Tokio}",
        "unknown time zone 'Tokio'",
        "did you mean Asia/Tokyo?",
    ),
    "an address": (
        "mail: {server: smtp://a, from: §tocsin}",
        "'tocsin' is not an e-mail address",
        "such as ana@shop.example",
    ),
    "an http mail server": (
        "mail: {server: §http://a, from: a@b}",
        "this is not a mail server",
        "smtps://",
    ),
    "a mail server's port": (
        "mail: {server: §smtp://a:99999, from: a@b}",
        "'smtp://a:99999' has no valid port",
        "ports are 1 to 65535",
    ),
    "a mail user alone": (
        "mail: {server: smtp://a, from: a@b, §user: a}",
        "'user' needs 'password' beside it",
        "",
    ),
    "a URL without scheme": (
        PROBE + "{http: §shop.example}",
        "this is not a URL",
        "beginning with http:// or https://",
    ),
    "a URL's port": (
        PROBE + "{http: §'http://a:99999'}",
        "this is not a URL",
        "a port up to 65535",
    ),
    "a host without port": (
        PROBE + "{tcp: §db}",
        "'db' is not a host and a port",
        "write host:port",
    ),
    "port 0": (
        PROBE + "{tcp: §'db:0'}",
        "'db:0' has no valid port",
        "ports are 1 to 65535",
    ),
    "a relative path": (
        PROBE + "{disk: §var}",
        "'var' is not an absolute path",
        "begin it with /",
    ),
    "a share without its sign": (
        PROBE + "{disk: /, used: §90}",
        "'90' is not a share of a disk",
        "such as 90%",
    ),
    "a share above all": (
        PROBE + "{disk: /, used: §101%}",
        "'101%' is not a share of a disk",
        "such as 90%",
    ),
    "two limits of one disk": (
        PROBE + "{disk: /, used: 90%, §contents: 2GB}",
        "a disk probe takes only one of used and contents",
        "",
    ),
    "a size's unit": (
        PROBE + "{disk: /, free: §2Gb}",
        "unknown unit 'Gb'",
        "did you mean GB?",
    ),
    "a wrong status": (
        PROBE + "{http: 'http://a', status: §200-99x}",
        "'200-99x' is not a range of HTTP status codes",
        "200,204",
    ),
    "a backward status": (
        PROBE + "{http: 'http://a', status: §399-200}",
        "'399-200' is not a range of HTTP status codes",
        "200,204",
    ),
    "a body's pattern": (
        PROBE + "{http: 'http://a', body: §'('}",
        "'(' is not a regular expression RE2 accepts: missing ): (",
        "",
    ),
    "a certificate without TLS": (
        PROBE + "{http: 'http://a', §certificate days: 3}",
        "only https:// has a certificate",
        "",
    ),
    "a timeout longer than its period": (
        PROBE + "{http: 'http://a', every: 5s, §timeout: 6s}",
        "the probe waits 6s but looks every 5s",
        "timeout is never longer",
    ),
    "a latency longer than its timeout": (
        PROBE + "{http: 'http://a', §latency: 6s}",
        "an answer later than 5s has failed already",
        "latency is never longer",
    ),
    "two probes of one name": (
        PROBE + "{disk: /}\n      - §{disk: /}",
        "a has two probes called 'disk /'; the first is on line 7",
        "give one of them a name",
    ),
    "a severity": (
        PROBE + "{disk: /, severity: §critcal}",
        "unknown severity 'critcal'",
        "did you mean critical?",
    ),
    "a pidfile misspelt": (
        PROBE + "{process: {§pid: /x}}",
        "unknown key 'pid' in a mapping with the key pidfile",
        "did you mean pidfile?",
    ),
    "a heartbeat without a time": (
        BEAT + "§{grace: 5m}",
        "a heartbeat needs exactly one of every and cron; found none",
        "",
    ),
    "a heartbeat with two times": (
        BEAT + "{every: 5m, §cron: 0 3 * * *}",
        "a heartbeat needs exactly one of every and cron; found every and cron",
        "",
    ),
    "a zone without a cron line": (
        BEAT + "{every: 5m, §timezone: UTC}",
        "'timezone' needs 'cron' beside it",
        "",
    ),
    "a cron line": (
        BEAT + "{cron: §0 25 * * *}",
        "'0 25 * * *' is not a cron line: bad hour",
        "write five fields",
    ),
    "a cron line of six fields": (
        BEAT + "{cron: §0 0 3 * * *}",
        "'0 0 3 * * *' is not a cron line",
        "write five fields",
    ),
    "a cron line that never comes": (
        BEAT + "{cron: §0 0 31 2 *}",
        "'0 0 31 2 *' is not a cron line: bad day-of-month",
        "write five fields",
    ),
    "a matcher": (
        ROUTE + "{match: [§a], service: inbox}",
        "'a' is not a matcher",
        "",
    ),
    "a matcher with two signs": (
        ROUTE + "{match: [§job==x], service: inbox}",
        'has a second "=": quote a value that begins with one',
        "",
    ),
    "a matcher's pattern": (
        ROUTE + "{match: [§'a=~\"[\"'], service: inbox}",
        "is not a regular expression RE2 accepts",
        "",
    ),
    "a mapping for matchers": (
        ROUTE + "{match: §{a: b}, service: inbox}",
        "expected a matcher, found a mapping",
        "",
    ),
    "a label": (
        ROUTE + "{match: [], service: inbox, group: {by: [§'a b']}}",
        "'a b' is not a label's name",
        "",
    ),
    "a level": (
        ROUTE + "{match: [], service: inbox, severity: {a: §sev5}}",
        "'sev5' is not one of Tocsin's severities",
        "write one of sev1, sev2, sev3, sev4",
    ),
    "a source": (
        SERVICE + "keys: {k: {source: §prometheus, secret: secret:x}}",
        "'prometheus' is not a source",
        "write one of alertmanager, pagerduty",
    ),
    "a heartbeat's key of another name": (
        SERVICE + "heartbeats: {nightly: {every: 1d}}\n    keys: {§nihgtly: {source: heartbeat, secret: secret:x}}",
        "the key 'nihgtly' is for a heartbeat of that name, and the service has none",
        "did you mean nightly?",
    ),
    "a key's secret used twice": (
        SERVICE + "keys: {k: {source: events, secret: secret:x}, l: {source: events, secret: §secret:x}}",
        "this is already a key of a, on line 6",
        "a secret of its own",
    ),
    "an anchor": (
        "services: {a: §&x {}}",
        "anchors are not part of the plan language: '&x'",
        "",
    ),
    "a merge key": (
        "services: {a: {§<<: {}}}",
        "merge keys are not part of the plan language: '<<'",
        "",
    ),
    "a tag": (
        SERVICE + "about: §!!python/name:os.system x",
        "tags are not part of the plan language",
        "every key knows its type",
    ),
    "a key said twice": (
        "services: {a: {}, §'a': {}}",
        "'a' is said twice; the first is on line 4",
        "keep one of them",
    ),
    "a key that is a list": (
        "services: {§[a]: {}}",
        "a key is a text",
        "",
    ),
    "a second document": (
        "§---\ntocsin: 1",
        "a plan file is one document",
        "a file of its own",
    ),
    "a tab": (
        "services:\n§\ta: {}",
        "this is not YAML: while scanning for the next token found character that cannot start any token",
        "indent with spaces",
    ),
    "an open bracket": (
        "services: §{a: {}",
        "this is not YAML: while parsing a flow mapping did not find expected ',' or '}'",
        "a bracket or a comma is missing",
    ),
    "an open quote": (
        "services: §'a\n\n",
        "this is not YAML: while scanning a quoted scalar found unexpected end of stream",
        "a closing quote is missing",
    ),
    "an unquoted star": (
        "services: {a: {heartbeats: {b: {cron: *§ * * * *}}}}",
        "this is not YAML: while scanning an alias",
        "quote a text that begins with *",
    ),
    "a colon in a text": (
        SERVICE + "about: this§: that",
        "this is not YAML: mapping values are not allowed in this context",
        "a text with a colon and a space in it is quoted",
    ),
}


def test_a_webhook_that_is_only_an_address_is_shown_how_to_be_written():
    found = read_plan({"tocsin.yaml": b"tocsin: 1\nteam: a\npeople: {ana: {webhook: 'http://hook.example'}}\n"}).findings
    (one,) = (each for each in found if "webhook" in each.message)
    assert (one.message, one.hint) == (
        "expected a webhook, found a text",
        "write webhook: {url: https://…, secret: secret:NAME}",
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_once_where_it_is_with_what_to_write(mistake):
    """Exactly one error: its line, its column, its words, and the hint."""
    text, message, hint = MISTAKES[mistake]
    before = text.partition(HERE)[0]
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    found = wrong(text.replace(HERE, ""))
    assert [(one.line, one.column) for one in found] == [place], "\n".join(map(str, found))
    assert message in found[0].message
    assert hint in found[0].hint if hint else True


def test_a_finding_prints_as_a_good_compiler_prints():
    """One line with place, level and message; the hint below it."""
    finding = Finding("error", "tocsin.yaml", 12, 9, "unknown service 'chekout'", "did you mean checkout?")
    assert str(finding) == "tocsin.yaml:12:9: error: unknown service 'chekout'\n    did you mean checkout?"
    assert str(Finding("notice", "a\nb.yaml", 1, 1, "x\x1b[31m")) == "a\\nb.yaml:1:1: notice: x\\x1b[31m"


def test_all_errors_come_at_once_in_the_order_of_files_and_lines():
    """A plan with ten mistakes is corrected in one go."""
    reading = read(
        b="""\
            tocsin: 1
            services:
              pay: {tier: 9, needs: [cart]}
            """,
        a="""\
            tocsin: 1
            people: {ana: {emial: x, email: x}}
            routs: []
            services:
              cart: {escalation: shp}
            """,
    )
    assert reading.plan is None
    assert [(one.file, one.line, one.level) for one in reading.findings] == [
        ("a.yaml", 2, "error"),
        ("a.yaml", 2, "error"),
        ("a.yaml", 3, "error"),
        ("a.yaml", 5, "error"),
        ("b.yaml", 3, "error"),
    ]


def test_a_name_defined_in_two_files_is_an_error_that_names_both_places():
    """A name belongs to the file that defines it."""
    reading = read(a=HEAD + "services: {pay: {}}", b="tocsin: 1\nservices:\n  pay: {}\npeople: {ana: {}}")
    assert "\n".join(map(str, reading.findings)) == (
        "b.yaml:3:3: error: service 'pay' is defined twice; the first is in a.yaml:4\n"
        "    a name belongs to the file that defines it: rename one, or join them\n"
        "b.yaml:4:10: error: person 'ana' is defined twice; the first is in a.yaml:3\n"
        "    a name belongs to the file that defines it: rename one, or join them"
    )


@pytest.mark.parametrize(
    "line",
    [
        "mail: {server: smtp://localhost, from: a@b}",
        "last resort: ana",
        "outside heartbeat: https://hc.example/1",
        "coverage: {at least: 80%}",
        "customer tier label: plan",
    ],
)
def test_what_one_file_says_for_all_is_not_said_twice(line):
    """The mail server, the last resort and the outside heartbeat belong to one file."""
    reading = read(a=HEAD + line, b="tocsin: 1\n" + line)
    key = line.partition(":")[0]
    assert [(one.file, one.line, one.message) for one in reading.findings] == [
        ("b.yaml", 2, f"'{key}' is said twice; the first is in a.yaml:4")
    ]
    assert reading.plan is None


@pytest.mark.parametrize(
    "text",
    [
        "people: {kei: {webhook: {url: 'https://x/', secret: hunter2}}}",
        "people: {kei: {webhook: {url: 'https://ana:hunter2@x/', secret: secret:x}}}",
        "people: {kei: {webhook: {url: 'https://hunter2@x/', secret: secret:x}}}",
        "mail: {server: smtp://a, from: a@b, user: a, password: hunter2}",
        "mail: {server: 'smtp://a:hunter2@b', from: a@b}",
        "services: {a: {keys: {k: {source: events, secret: hunter2}}}}",
    ],
)
def test_a_secret_in_the_plan_is_refused_and_not_repeated(text):
    """The message says never to put secrets in the plan, and does not print the one that was there."""
    reading = read_plan({"tocsin.yaml": f"tocsin: 1\nteam: shop\n{text}".encode()})
    assert reading.plan is None
    said = "\n".join(map(str, reading.findings))
    assert "hunter2" not in said
    assert "never put" in said or "no password" in said


def test_a_file_that_cannot_be_read_makes_no_names_unknown():
    """Nobody knows what the unreadable file defines, so only its own error is said."""
    reading = read(a=HEAD + "services: {pay: {escalation: night, needs: [cart]}}", b="tocsin: 1\nservices: {cart")
    assert [(one.file, one.line) for one in reading.findings] == [("b.yaml", 2)]


def test_a_section_of_the_wrong_shape_makes_no_names_unknown():
    """One mistake, one error: those who use its names are not blamed."""
    found = wrong("services: [a]\nroutes:\n  - {match: [], service: a}\n")
    assert [one.line for one in found] == [1]


def test_a_name_whose_value_is_wrong_still_counts_as_defined():
    """A mistake inside a service is one error, however many need it."""
    found = wrong("services: {a: [], b: {needs: [a]}}\nroutes:\n  - {match: [], service: a}\n")
    assert [one.message for one in found] == ["expected a service, found a list"]


@pytest.mark.parametrize("files", [{}, {"a.yaml": b""}, {"a.yaml": b"# only a comment\n"}, {"a.yaml": b"---\n"}])
def test_no_plan_at_all_is_an_error(files):
    """Nothing to page anybody is not a plan."""
    reading = read_plan(files)
    assert reading.plan is None
    assert [one.message for one in reading.findings if one.level == "error"] == ["there is no plan"]


def test_a_plan_needs_somebody_to_page():
    """Without people there is no last resort."""
    reading = read(tocsin="tocsin: 1\nservices: {a: {}}")
    assert [one.message for one in reading.findings] == ["the plan names nobody to page"]


def test_a_team_of_a_file_without_people_is_an_error():
    """A team that pages nobody would be found out at night."""
    reading = read(a=HEAD, b="tocsin: 1\nteam: night\nservices: {a: {}}")
    assert [str(one).splitlines()[0] for one in reading.findings] == [
        "b.yaml:2:7: error: team 'night' has nobody in it"
    ]


@pytest.mark.parametrize("head", ["", "tocsin: 2\n", "tocsin: one\n"])
def test_every_file_says_which_version_of_the_language_it_is(head):
    """A plan of another version is not guessed at."""
    reading = read(a=head + "people: {ana: {}}")
    assert reading.plan is None
    (found,) = reading.findings
    assert found.line == 1
    assert "tocsin: 1" in found.hint


def test_findings_are_bounded_and_the_rest_is_counted():
    """Ten thousand mistakes are not ten thousand lines."""
    found = wrong("\n".join(f"key{number}: 1" for number in range(MAX_FINDINGS + 50)))
    assert len(found) == MAX_FINDINGS + 1
    assert found[-1].message == "and 50 more like these"


# warnings: few and true


def test_a_service_without_an_escalation_is_warned_of():
    """It goes to the last resort."""
    assert warned("services: {a: {}}") == ["service 'a' has no escalation: it pages the last resort"]
    assert warned("services: {a: {escalation: e}}\nescalations: {e: [{page: ana}]}") == []


def test_people_whom_only_the_console_reaches_are_warned_of():
    """No address, no webhook; or an address and no mail server."""
    mail = "mail: {server: smtp://localhost, from: a@b}\n"
    reading = read(tocsin=HEAD)
    assert [one.message for one in reading.findings] == [
        "the plan names no mail server, so only the console pages ana and ben"
    ]
    assert read(tocsin=HEAD + mail).findings == ()
    reading = read(tocsin="tocsin: 1\npeople: {ana: {}, ben: {webhook: {url: 'http://b/', secret: secret:b}}}\n" + mail)
    assert [one.message for one in reading.findings] == ["the plan names no way to reach 'ana'"]


def test_a_way_to_reach_somebody_that_the_plan_does_not_set_up_is_an_error():
    """Else it would be found out when they are to be woken."""
    (found,) = read(tocsin='tocsin: 1\npeople: {ana: {matrix: "@ana:shop.example"}}').findings
    assert found.message == "'ana' is to be paged by matrix, and the plan does not set that up"
    assert found.hint == "add channels: {matrix: …}"


def test_a_channel_is_set_up_with_a_reference_and_never_with_the_secret():
    """As everywhere in a plan; and the address of a person looks like one."""
    (found,) = wrong("channels: {matrix: {server: 'https://m.example', token: syt_abc}}")
    assert "syt_abc" not in f"{found.message} {found.hint}"
    assert "secret:NAME" in found.hint
    found, _ = read(
        tocsin="tocsin: 1\npeople: {ana: {matrix: ana}}\nchannels: {matrix: {server: 'https://m.example'}}"
    ).findings
    assert found.message == "'ana' is not a Matrix user"


def test_a_mail_password_in_the_clear_is_warned_of():
    """Except to this very machine."""
    rest = "from: a@b, user: a, password: secret:p}"
    assert warned(f"mail: {{server: smtp://mail.example, {rest}") == [
        "the mail password travels unencrypted with smtp://"
    ]
    assert warned(f"mail: {{server: smtp://127.0.0.1:2525, {rest}") == []
    assert warned(f"mail: {{server: smtps://mail.example, {rest}") == []


def test_what_proves_who_one_is_to_ntfy_is_one_thing_and_not_sent_in_the_clear():
    """By a token or by a name; and the mistakes the other channels refuse."""
    server = "server: 'http://ntfy.example'"
    assert warned(f"channels: {{ntfy: {{{server}, token: secret:n}}}}") == [
        "ntfy's token travels unencrypted with http://"
    ]
    assert warned(f"channels: {{ntfy: {{{server}, user: a, password: secret:n}}}}") == [
        "ntfy's password travels unencrypted with http://"
    ]
    assert warned("channels: {ntfy: {server: 'http://127.0.0.1:2586', token: secret:n}}") == []
    assert warned(f"channels: {{ntfy: {{{server}}}}}") == []
    (found,) = wrong("channels: {ntfy: {token: secret:n, user: a, password: secret:n}}")
    assert found.message == "ntfy is told who signs in by a token or by a user, not both"
    (found,) = wrong("channels: {ntfy: {token: tk_abc}}")
    assert "tk_abc" not in f"{found.message} {found.hint}"
    (found,) = wrong("channels: {ntfy: {user: a}}")
    assert "password" in f"{found.message} {found.hint}"
    (found,) = read(tocsin="tocsin: 1\npeople: {ana: {ntfy: ana-topic}}\n").findings
    assert "are added and proven by them" in found.hint


SERVICES = "services: {a: {escalation: e}, b: {escalation: e}}\nescalations: {e: [{page: ana}]}\n"


@pytest.mark.parametrize(
    ("first", "second", "warns"),
    [
        ("{match: [], service: a}", "{match: [x=1], service: a}", True),
        ("{match: [x=1], service: a}", "{match: [x=1, y=2], service: a}", True),
        ("{match: [x=1], service: a}", "{match: [y=2], service: a}", False),
        ("{match: [x=1, y=2], service: a}", "{match: [x=1], service: a}", False),
        ("{match: ['x=~\"1|2\"'], service: a}", "{match: [x=2], service: a}", True),
        ("{match: ['x=~\"1|2\"'], service: a}", "{match: ['x=~\"1\"'], service: a}", False),
        ("{match: ['x!=1'], service: a}", "{match: [x=2], service: a}", True),
        ("{match: ['x!=1'], service: a}", "{match: [y=2], service: a}", False),
        ("{match: ['x=~\"1.*\"'], service: a}", "{match: ['x=~\"1.*\"', y=2], service: a}", True),
        ("{match: [x=1], service: b}", "{match: [x=1], service: inbox}", True),
    ],
)
def test_a_route_that_can_never_match_is_warned_of(first, second, warns):
    """When an earlier route surely takes everything it would; a doubt is no warning."""
    found = warned(f"{SERVICES}routes:\n  - {first}\n  - {second}\n")
    assert found == (["this route never matches: the one on line 7 takes everything it would"] if warns else [])


def test_a_route_only_a_services_own_key_reaches_is_said_to_be_just_that():
    """A key of a service reaches that service's routes alone, so the route is not dead."""
    found = warned(SERVICES + "routes:\n  - {match: [x=1], service: a}\n  - {match: [x=1], service: b}\n")
    assert found == ["only a key of b reaches this route: the one on line 7 takes all else it would"]


@pytest.mark.parametrize(("every", "warns"), [("30s", True), ("1m", False)])
def test_an_alert_that_must_come_more_often_than_it_is_repeated_is_warned_of(every, warns):
    """It would be late while all is well, and page somebody each time."""
    alive = f"services: {{a: {{heartbeats: {{dog: {{alert: [alertname=Watchdog], every: {every}}}}}}}}}\n"
    found = [one for one in warned(alive) if "dog" in one]
    assert found == (["heartbeat 'dog' is an alert that must come again within 30s"] if warns else [])


def test_of_a_plan_with_errors_only_the_errors_are_said():
    """Half of its warnings would be consequences."""
    assert {one.level for one in read(tocsin=HEAD + "services: {a: {tier: 7}}").findings} == {"error"}


@pytest.mark.parametrize(
    ("step", "most"),
    [
        ("page: ana", "one person"),
        ("page one of: [ana, ben]", "one person"),
        ("page: desk", "one person"),
        ("page: [desk, ana]", ""),
        ("page: team shop", ""),
        ("page: rota", ""),
    ],
)
def test_a_step_that_asks_for_more_answers_than_it_pages_people_is_warned_of(step, most):
    """A rota that is kept elsewhere may have any number on call."""
    text = f"""
tocsin: 1
people: {{ana: {{email: a@b.example}}, ben: {{email: b@b.example}}}}
teams: {{shop: {{members: [ana, ben]}}}}
mail: {{server: smtp://localhost, from: a@b.example}}
calendars: {{kept: {{ical: secret:kept}}}}
schedules:
  desk: {{layers: [{{rotate: [ana, ben], every: day, starts: 2026-11-16 with ana}}]}}
  rota: {{calendar: kept}}
escalations: {{shop: [{{{step}, until acknowledged by: 2}}, {{page: [ana, ben]}}]}}
services: {{checkout: {{escalation: shop}}}}
"""
    told = [one for one in read(tocsin=text).findings if "acknowledgements" in one.message]
    said = [f"the step asks for 2 acknowledgements and pages {most} at most"] if most else []
    assert [one.message for one in told] == said


def test_an_unknown_playbook_is_told_beside_other_errors():
    """Except where the code could not be read: then nobody knows its names."""
    text = HEAD + SERVICE + "playbooks: [x]\n  other: {escalation: nobody}"
    assert "unknown playbook 'x'" in [one.message for one in read(tocsin=text).findings]
    broken = {"tocsin.yaml": text.encode(), "playbooks/.manifest.json": b"{"}
    assert not any("unknown playbook" in one.message for one in read_plan(broken).findings)


def test_a_severity_a_route_maps_is_known():
    """Probes and heartbeats may use the team's own words once a route says what they mean."""
    plan = good(
        "services: {a: {probes: [{disk: /, severity: Blocker}, {disk: /x, severity: WARNING}]}}\n"
        "routes: [{match: [], service: a, severity: {Blocker: sev1}}]"
    )
    assert [one.severity for one in plan.probes] == ["Blocker", "WARNING"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("{email: {text: 'Look at $titel'}}", "there is no placeholder $titel: did you mean $title?"),
        ("{email: {text: '$title costs 5$'}}", "a $ is followed by a placeholder's name; write $$ for the sign itself"),
        (
            "{email: {text: '${title.__class__}'}}",
            "a $ is followed by a placeholder's name; write $$ for the sign itself",
        ),
        ("{sms: {text: 'Something is wrong'}}", "this says nothing of what is wrong: use $title or $alerts in it"),
        (f"{{sms: {{text: '$title {'x' * 2000}'}}}}", "a template has at most 2,000 characters, and this one 2,007"),
        ("{sms: {subject: '$title'}}", None),
        ("{webhook: {text: '$title'}}", None),
    ],
)
def test_a_template_that_would_not_say_what_was_meant_is_refused(said, found):
    """All of it is known before anybody is woken by it; a channel for programs has no words."""
    errors = [one for one in read(tocsin=HEAD + f"messages: {said}").findings if one.level == "error"]
    assert errors
    if found is not None:
        assert f"{errors[0].message}{': ' if errors[0].hint else ''}{errors[0].hint}" == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            "{every: 1h, within: 2h, webhook: 'https://t/loopback'}",
            "a synthetic page has 2h to come back, and the next leaves every 1h",
        ),
        ("{every: 1h}", "the synthetic page names no channel"),
        ("{sms: '+34600000001'}", "a synthetic page is to leave by sms, and the plan does not set that up"),
        ("{email: loop@b.example}", "a synthetic page is to leave by email, and the plan does not set that up"),
        ("{matrix: '@loop:b.example'}", "a synthetic page is to leave by matrix, and the plan does not set that up"),
        ("{slack: C012ABCDEF}", "a synthetic page is to leave by slack, and the plan does not set that up"),
        ("{ntfy: tocsin-loop}", "a synthetic page is to leave by ntfy, and the plan does not set that up"),
        ("{webhook: 'https://t/loopback', service: nowhere}", "unknown service 'nowhere'"),
    ],
)  # fmt: skip
def test_a_synthetic_page_that_could_not_leave_or_be_judged_is_refused(said, found):
    people = "{ana: {webhook: {url: 'http://b/', secret: secret:b}}}"
    reading = read(tocsin=f"tocsin: 1\npeople: {people}\nsynthetic page: {said}\n")
    assert [one.message for one in reading.findings if one.level == "error"] == [found]


HOOK = "webhook: {url: 'http://b/', secret: secret:b}"
ROTA = """
escalations: {o: [{page: ana}, {page: s}]}
schedules: {s: {layers: [{rotate: [ben], every: week, starts: 2026-11-16 with ben}]}}
"""


@pytest.mark.parametrize(
    ("people", "more", "warned"),
    [
        ("{ana: {email: a@b.example}, ben: {email: b@b.example}}", "", True),
        (f"{{ana: {{email: a@b.example}}, ben: {{email: b@b.example, {HOOK}}}}}", "", True),
        (f"{{ana: {{email: a@b.example}}, ben: {{email: b@b.example, {HOOK}}}}}", ROTA, False),
        (f"{{ana: {{email: a@b.example, {HOOK}}}, ben: {{}}}}", "", False),
    ],
)
def test_a_plan_whose_word_of_a_dead_channel_leaves_by_that_channel_alone_is_told_so(people, more, warned):
    """Ben, who could be told otherwise, must be paged for the service."""
    more = more or "escalations: {o: [{page: ana}]}\n"
    reading = read(
        tocsin=f"tocsin: 1\npeople: {people}\nlast resort: ana\nmail: {{server: smtp://m:25, from: t@b.example}}\n"
        f"{more}services: {{ops: {{escalation: o}}}}\nsynthetic page: {{email: loop@b.example, service: ops}}\n"
    )
    assert not [one for one in reading.findings if one.level == "error"], reading.findings
    found = [one.message for one in reading.findings if one.level == "notice" and "synthetic" in one.message]
    assert found == (
        ["when the synthetic page by email does not come back, the plan can say so to people by email alone"] * warned
    )


def test_a_slack_app_that_nobody_could_answer_is_refused():
    """Its button would do nothing."""
    found = [one for one in read(tocsin=HEAD + "channels: {slack: {token: secret:s}}").findings if one.level == "error"]
    assert [one.message for one in found] == [
        "nobody could answer in Slack: neither a signing secret nor an app token is named"
    ]
    assert good("channels: {slack: {token: secret:s, app token: secret:a}}").channels["slack"]["app token"]


def test_that_an_acknowledgement_in_pagerduty_is_not_heard_is_said_once() -> None:
    """Whoever pressed the button there believes that they have it."""
    people = "tocsin: 1\npeople: {ana: {pagerduty: secret:a}, ben: {pagerduty: secret:b}, kei: {email: k@b.example}}\n"

    def found(more: str) -> list[tuple[str, int, int]]:
        findings = read(tocsin=f"{people}mail: {{server: smtp://m:25, from: t@b.example}}\n{more}").findings
        return [(one.level, one.line, one.column) for one in findings if "PagerDuty" in one.message]

    assert found("") == [("warning", 2, 10)]
    assert found("channels: {pagerduty: {server: 'https://events.eu.pagerduty.com'}}\n") == [("warning", 2, 10)]
    assert found("channels: {pagerduty: {signing secret: secret:s}}\n") == []


@pytest.mark.parametrize("number", ["+1234567", "+3460000", "+3460000000000000"])
def test_a_number_of_no_telephones_length_is_found_before_anybody_is_called_from_it(number: str) -> None:
    said = f"channels: {{twilio: {{account: AC1, token: 'secret:t', from: '{number}'}}}}"
    (error,) = (one for one in read(tocsin=HEAD + said).findings if one.level == "error")
    assert "a number of yours at Twilio" in error.message
    assert "8 to 15 digits" in error.hint
