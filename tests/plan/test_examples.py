"""Whole plans, read to the last field."""

from __future__ import annotations

from datetime import date

from tests.plan.written import example
from tocsin.access.limits import KeyLimits
from tocsin.catalog.people import Person, Team, Webhook
from tocsin.catalog.services import Service
from tocsin.escalation.policy import Escalation, Step, When
from tocsin.incidents.routes import Route
from tocsin.intake.specs import CalendarSpec, HeartbeatSpec, KeySpec, ProbeSpec
from tocsin.kernel.instant import HOUR, MILLISECOND, MINUTE, SECOND
from tocsin.kernel.matcher import Matcher
from tocsin.oncall.hours import Hours
from tocsin.oncall.schedule import Layer, Length, Schedule, Window
from tocsin.oncall.zone import DAY_OF, WEEK_OF, wall_of
from tocsin.pages.pace import Pace
from tocsin.pages.templates import Words
from tocsin.plan import read_plan, starter_plan
from tocsin.plan.model import Mail, Plan
from tocsin.plan.reading import plan_version


def test_the_shops_plan_is_read_to_the_last_field():
    """The plan of the shop means exactly what it says."""
    files = {"tocsin.yaml": example("shop.yaml")}
    reading = read_plan(files)
    assert "\n".join(map(str, reading.findings)) == (
        "tocsin.yaml:6:3: warning: the plan names no mail server, so only the console pages ana, ben and kei\n"
        "    add mail: {server: smtp://localhost:25, from: tocsin@shop.example}"
    )
    assert reading.plan == Plan(
        version=plan_version(files),
        team="shop",
        timezone="Europe/Madrid",
        people={
            "ana": Person(key="ana", name="Ana", email="ana@shop.example", timezone="Europe/Madrid"),
            "ben": Person(key="ben", name="Ben", email="ben@shop.example", timezone="Europe/Madrid"),
            "kei": Person(key="kei", name="Kei", email="kei@shop.example", timezone="Asia/Tokyo"),
        },
        teams={"shop": Team(key="shop", members=("ana", "ben", "kei"))},
        services={
            "checkout": Service(
                key="checkout",
                about="Takes the customer's money.",
                tier=1,
                team="shop",
                needs=("payments", "cart-redis"),
                escalation="shop",
            ),
            "cart-redis": Service(key="cart-redis", tier=1, team="shop", escalation="shop"),
            "payments": Service(key="payments", tier=1, team="shop", escalation="shop"),
            "orders-batch": Service(key="orders-batch", tier=3, team="shop", escalation="shop"),
            "inbox": Service(key="inbox", about="Events that no route takes land here.", team="shop"),
        },
        escalations={
            "shop": Escalation(
                "shop",
                (
                    Step(("person:ana",), 5 * MINUTE, 1),
                    Step(("person:ben", "person:kei"), 10 * MINUTE, 1),
                    Step(("team:shop",), 10 * MINUTE, 3),
                ),
            )
        },
        routes=(
            Route(
                match=(Matcher("job", "=", "checkout"),),
                service="checkout",
                group_by=("alertname", "region"),
                group_window=5 * MINUTE,
                severity={"critical": "sev1", "error": "sev2", "warning": "sev3"},
            ),
            Route(match=(Matcher("alertname", "=~", "Redis.*"),), service="cart-redis"),
        ),
        probes=(
            ProbeSpec(
                service="cart-redis",
                name="tcp cart-1.shop.example:6379",
                kind="tcp",
                target="cart-1.shop.example:6379",
                every=15 * SECOND,
            ),
        ),
        heartbeats=(
            HeartbeatSpec(
                service="orders-batch",
                name="nightly",
                cron="0 3 * * *",
                timezone="Europe/Madrid",
                grace=20 * MINUTE,
            ),
        ),
        last_resort=("team:shop",),
    )


def test_every_key_of_the_language_arrives():
    """A plan that uses every key once is read to the last field."""
    reading = read_plan({"a.yaml": example("everything.yaml")})
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    plan = reading.plan
    assert plan.people == {
        "ana": Person(
            key="ana",
            name="Ana",
            email="ana@shop.example",
            webhook=Webhook("https://hooks.shop.example/ana?x=1", "secret:ana_hook"),
            timezone="Asia/Tokyo",
            holidays=("days-off",),
        ),
        "ben": Person(
            key="ben",
            name="ben",
            email="ben@shop.example",
            timezone="Europe/Madrid",
            reach=(("matrix", "@ben:shop.example"), ("email", "ben@shop.example")),
        ),
        "kei": Person(
            key="kei", name="kei", timezone="Europe/Madrid", reach=(("pagerduty", "secret:old_pager"),)
        ),
        "noa": Person(
            key="noa",
            name="noa",
            timezone="Europe/Madrid",
            reach=(
                ("slack", "U012ABCDEF"),
                ("apprise", "secret:noa_gotify"),
            ),
        ),
        "7": Person(key="7", name="7", timezone="Europe/Madrid"),
    }
    assert plan.teams == {
        "shop": Team(key="shop", members=("ana", "ben"), lead="ben"),
        "night": Team(key="night", members=("7",)),
    }
    assert (plan.customer_tiers, plan.customer_tier_label) == (("gold", "silver"), "plan")
    assert plan.escalations["shop"].steps == (
        Step(("person:ana",), 90 * SECOND, 2),
        Step(("person:ben", "team:night"), 5 * MINUTE, 1),
        Step(("team:shop",), 5 * MINUTE, 1),
    )
    assert plan.escalations["rota"].steps == (
        Step(("schedule:shop-primary", "schedule:shop-primary:next")),
        Step(
            ("schedule:shop-primary:previous", "team:night", "person:ana"),
            one=True,
            round_of="rota/2",
            when=When(("sev1", "sev2"), "office", True, (Matcher("region", "=", "eu"),), ("gold", "silver")),
            answers=2,
        ),
    )
    assert plan.schedules == {
        "shop-primary": Schedule(
            key="shop-primary",
            about="Who is called first.",
            handoff_notice=False,
            calendar="rota",
            timezone="Europe/Lisbon",
            layers=(
                Layer(
                    name="week",
                    turns=(("ben", "7"), ("ana",), ("ana",)),
                    length=Length(minutes=2 * WEEK_OF),
                    begins=wall_of(date(2026, 11, 11), 10 * 60 + 30),
                    timezone="Europe/Lisbon",
                    shadows=("7",),
                ),
                Layer(
                    name="layer 2",
                    turns=(("ben",),),
                    length=Length(minutes=WEEK_OF),
                    begins=wall_of(date(2000, 1, 3), 9 * 60),
                    timezone="Asia/Tokyo",
                    only=(
                        *(Window(day * DAY_OF + 9 * 60, 9 * 60) for day in range(4)),
                        Window(4 * DAY_OF + 9 * 60, 9 * 60),
                        Window(4 * DAY_OF + 22 * 60, 2 * DAY_OF + 2 * 60),
                    ),
                ),
                Layer(
                    name="layer 3",
                    turns=(("ana",), ("ben",)),
                    length=Length(months=1),
                    begins=wall_of(date(2026, 10, 31), 8 * 60),
                    day=31,
                    timezone="Europe/Lisbon",
                    only=(Window(6 * DAY_OF + 20 * 60, 8 * 60),),
                ),
            ),
        ),
    }
    assert plan.services == {
        "inbox": Service(key="inbox", team="shop", escalation="shop"),
        "checkout": Service(
            key="checkout",
            about="10:00 no ~ +34600000000",
            tier=1,
            team="night",
            needs=("payments",),
            escalation="rota",
            escalations={"sev1": "rota", "sev2": "rota", "sev3": "shop", "sev4": "shop"},
            hours="office",
            customer_tier="silver",
            tier_escalations={"gold": "rota"},
            acknowledge_for=2 * HOUR,
            reopen_within=0,
            wait_for_code=20 * MINUTE,
            urgency={"sev1": "high", "sev2": "high", "sev3": "low", "sev4": "low"},
        ),
        "payments": Service(key="payments", team="shop"),
    }
    of = "checkout"
    assert plan.probes == (
        ProbeSpec(
            service=of, name="front", kind="http", target="https://shop.example/health",
            every=MINUTE, timeout=10 * SECOND, failures=3, severity="warning", title="Nobody can order",
            options={
                "status": "200-299,304", "body": r'"ok":\s*true',
                "latency": str(1500 * MILLISECOND), "certificate_days": "14",
            },
        ),
        ProbeSpec(
            service=of, name="http 10.0.0.1:8080/x", kind="http", target="http://10.0.0.1:8080/x?token=1",
            every=2 * SECOND, timeout=2 * SECOND,
        ),
        ProbeSpec(service=of, name="tcp [::1]:5432", kind="tcp", target="[::1]:5432"),
        ProbeSpec(service=of, name="process postgres", kind="process", target="postgres", options={"by": "name"}),
        ProbeSpec(
            service=of, name="process cartd", kind="process", target="cartd",
            options={"by": "name", "memory_bytes": str(2 * 2**30)},
        ),
        ProbeSpec(
            service=of, name="process /run/it.pid", kind="process", target="/run/it.pid", options={"by": "pidfile"},
        ),
        ProbeSpec(
            service=of, name="peer tocsin-b.shop.example", kind="peer", target="https://tocsin-b.shop.example",
        ),
        ProbeSpec(service=of, name="disk /", kind="disk", target="/", options={"used_percent": "97.5"}),
        ProbeSpec(
            service=of, name="redis cart_ro", kind="redis", target="secret:cart_ro", every=15 * SECOND,
            options={"memory_percent": "85"},
        ),
        ProbeSpec(
            service=of, name="all", kind="redis", target="secret:cart_ro",
            options={"memory_percent": "90", "clients_percent": "90", "persistence": "on"},
        ),
        ProbeSpec(
            service=of, name="replication", kind="redis", target="secret:cart_2_ro",
            options={"clients_percent": "80", "persistence": "off", "follows": "cart-1:6379"},
        ),
        ProbeSpec(
            service=of, name="postgres shop_ro", kind="postgres", target="secret:shop_ro",
            options={"connections_percent": "90", "wraparound_percent": "50"},
        ),
        ProbeSpec(
            service=of, name="lag", kind="postgres", target="secret:shop_2_ro",
            options={"behind_bytes": str(16 * 2**20), "late_seconds": "60", "log_bytes": "20000000000"},
        ),
        ProbeSpec(
            service=of, name="blocked", kind="postgres", target="secret:shop_ro",
            options={
                "connections_percent": "80", "wraparound_percent": "25", "oldest_seconds": "600", "blocked": "3",
            },
        ),
        ProbeSpec(
            service=of, name="disk /var", kind="disk", target="/var", severity="Minor",
            options={"free_bytes": str(2560 * 1024 * 1024)},
        ),
        ProbeSpec(service=of, name="disk /srv", kind="disk", target="/srv", options={"used_percent": "90"}),
        ProbeSpec(
            service=of, name="disk /srv/queue", kind="disk", target="/srv/queue", options={"folder_bytes": "20000000"},
        ),
    )  # fmt: skip
    assert plan.heartbeats == (
        HeartbeatSpec(
            service=of, name="nightly", cron="0 3 * * mon-fri", timezone="Europe/Madrid", grace=0,
            title="Orders are not booked",
        ),
        HeartbeatSpec(
            service=of,
            name="watchdog",
            every=5 * MINUTE,
            severity="sev1",
            alert=(Matcher("alertname", "=", "Watchdog"),),
        ),
        HeartbeatSpec(
            service=of,
            name="both",
            every=90 * MINUTE,
            alert=(Matcher("job", "=", "a"), Matcher("env", "!~", "dev.*")),
        ),
        HeartbeatSpec(service=of, name="tokyo", cron="*/5 * * * *", timezone="Asia/Tokyo"),
    )
    assert plan.keys == (
        KeySpec(
            source="alertmanager", service=of, name="prometheus", secret="secret:prom",
            limits=KeyLimits(rate=50, burst=200, body=1_000_000, alerts=500),
        ),
        KeySpec(source="heartbeat", service=of, name="nightly", secret="secret:JOBS.2"),
    )  # fmt: skip
    assert plan.routes == (
        Route(match=(), service=of, group_by=(), severity={"P0": "sev1"}),
        Route(match=(Matcher("env", "=", "dev"),), service="payments", group_window=5 * MINUTE),
    )
    assert plan.mail == Mail("smtp+starttls://mail.shop.example:587", "tocsin@shop.example", "tocsin", "secret:smtp")
    assert plan.channels == {
        "matrix": {"server": "https://matrix.shop.example", "token": "secret:matrix"},
        "ntfy": {"server": "https://ntfy.example", "token": "secret:ntfy"},
        "pagerduty": {"server": "https://events.eu.pagerduty.com"},
        "push": {"contact": "ops@shop.example"},
        "slack": {
            "token": "secret:slack", "signing secret": "secret:slack_signing", "app token": "secret:slack_app",
            "server": "https://slack.example",
        },
        "telegram": {"token": "secret:bot", "webhook secret": "secret:bot_hook", "server": "https://bots.example"},
        "twilio": {
            "account": "AC0123",
            "token": "secret:twilio",
            "from": "+34911000000",
            "server": "https://api.twilio.example",
        },
        "webhook": {},
    }
    assert plan.paces == {
        "email": Pace(0.5, 1), "telegram": Pace(30.0, 30), "ntfy": Pace(0.2, 50), "sms": Pace(1.0, 3),
        "call": Pace(1.0, 3), "webhook": Pace(5.0, 5),
    }  # fmt: skip
    ready = {"email", "webhook", "matrix", "pagerduty", "apprise", "slack", "telegram", "ntfy", "sms", "call", "push"}
    assert plan.reaches == ready
    assert plan.last_resort == ("team:shop", "person:7")
    assert plan.outside_heartbeat == "https://hc.example/ping/1"
    assert {(one.channel, one.address, one.service) for one in plan.loops} == {
        ("webhook", "https://tocsin.shop.example/loopback", "inbox"),
        ("email", "loop@shop.example", "inbox"),
        ("matrix", "@loop:matrix.shop.example", "inbox"),
        ("sms", "+34600000001", "inbox"),
        ("call", "+34600000002", "inbox"),
        ("slack", "C012ABCDEF", "inbox"),
        ("ntfy", "tocsin-loop", "inbox"),
        ("pagerduty", "secret:loop_pager", "inbox"),
        ("apprise", "secret:loop", "inbox"),
    }
    assert plan.messages["email"] == Words("$severity $title", "$title\n$alerts")
    assert list(plan.messages) == ["email", "matrix", "slack", "telegram", "ntfy", "push", "sms", "call", "apprise"]
    assert {(one.every, one.within) for one in plan.loops} == {(6 * HOUR, 3 * MINUTE)}
    assert plan.findings_at == 8 * 60 + 30
    assert plan.hours == {
        "office": Hours(
            key="office",
            timezone="Asia/Tokyo",
            open=tuple(Window(day * DAY_OF + 9 * 60, 9 * 60) for day in range(5)),
            closed=(date(2026, 1, 1), date(2026, 12, 25)),
            holidays=("days-off",),
        )
    }
    assert plan.calendars == {
        "rota": CalendarSpec(name="rota", url="secret:rota_ics", every=30 * MINUTE),
        "days-off": CalendarSpec(name="days-off", url="https://calendar.example/days-off.ics"),
    }
    assert plan.people["ana"].holidays == ("days-off",)
    assert not plan.schedules["shop-primary"].handoff_notice


def test_the_starter_plan_stands_and_pages_its_one_person():
    """What a new installation begins with: an inbox whose escalation reaches somebody, and few enough lines to read."""
    files = starter_plan()
    reading = read_plan(files)
    assert reading.plan is not None
    assert [one.message for one in reading.findings] == ["the plan names no way to reach 'admin'"]
    steps = reading.plan.steps("inbox")
    assert [one.key for one in reading.plan.people_of(steps[0].targets, 0, {})] == ["admin"]
    lines = [line.strip() for text in files.values() for line in text.decode().splitlines()]
    assert len([line for line in lines if line and not line.startswith("#")]) <= 20


def test_the_starter_plans_next_steps_are_right_when_taken():
    """Whoever takes the comment signs away has a plan that stands."""
    text = starter_plan()["tocsin.yaml"].decode()
    taken = []
    for line in text.splitlines():
        indent, sign, rest = line.partition("# ")
        taken.append(indent + rest if sign and not indent.strip() and "Tocsin's plan" not in line else line)
    reading = read_plan({"tocsin.yaml": "\n".join(taken).encode()})
    assert [str(one) for one in reading.findings] == []
    assert reading.plan is not None
    assert (len(reading.plan.probes), len(reading.plan.heartbeats), len(reading.plan.routes)) == (1, 1, 1)
