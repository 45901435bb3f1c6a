"""Faults on real systems that the documentation's playbooks answer, one class each, and the plan that binds them.

A fault is made (``befall``), and it is told whether it is over (``over``) and whether anything else was touched
(``bystanders``: the same before and after). What a playbook waits for in the night is shortened here to fractions of a
second; nothing else of it is changed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from tests.journeys.faults import Fault, playbooks
from tests.journeys.solutions_redis import on_valkeys
from tests.support.needs import program
from tests.support.ports import free_port
from tests.support.postgres import running_postgres
from tests.support.shop_database import SETTINGS, Shop, running_shop
from tests.support.sshd import Sshd, running_sshd
from tests.support.waiting import eventually

DEAF = (
    "do $$ begin loop begin perform pg_sleep(30); exception when query_canceled then null; end; end loop; end $$"
)  # what is cancelled in it goes on
OLD = 1_700_000_000


class OnShop(Fault):
    """A fault of a shop's PostgreSQL."""

    page = "postgres.md"

    def __init__(self, shop: Shop, secret: str = "shop") -> None:
        self.shop = shop
        self._secret = secret

    def target(self) -> dict[str, Any]:
        return {"postgres": f"secret:{self._secret}_ro", "fix with": f"secret:{self._secret}_fix"}

    def calm(self) -> None:
        self.shop.quiet()
        self.shop.opened(3)
        self.shop.opened(2, "reports")
        self.shop.hold_a_row(50, "importer")

    def bystanders(self) -> object:
        """Sessions, rows and slots."""
        query = (
            "select json_build_object('sessions', (select json_agg(json_build_array(pid, backend_start) order by pid) "
            "from pg_stat_activity where usename = 'app' and application_name in ('importer', 'standing')), "
            "'slots', (select json_agg(slot_name order by 1) from pg_replication_slots), "
            "'orders', (select count(*) from orders))"
        )
        return self.shop.value(query)

    def everything(self) -> object:
        """Every session as it is, and what has been changed in the shop and its tables so far."""
        sessions = "select json_agg(json_build_array(pid, backend_start, state, state_change) order by pid)"
        parts = {
            "sessions": f"{sessions} from pg_stat_activity where usename = 'app'",
            "slots": "select json_agg(slot_name order by 1) from pg_replication_slots",
            "orders": "select json_agg(o order by id) from orders o",
            "checkpoint": "select redo_lsn::text from pg_control_checkpoint()",
            "vacuums": "select sum(vacuum_count) from pg_stat_all_tables",
        }
        query = ", ".join(f"'{name}', ({part})" for name, part in parts.items())
        return self.shop.value(f"select json_build_object({query})")

    def settled(self, where: str, number: int) -> None:
        """Wait until so many of the shop's sessions are as they should be, for long enough."""
        long_enough = "state_change < clock_timestamp() - '60ms'::interval"
        query = f"select count(*) from pg_stat_activity where {long_enough} and {where}"
        eventually(lambda: self.shop.value(query) >= number, what=where)


def fill(shop: Shop) -> None:
    """Open connections until there is none left."""
    with suppress(psycopg.OperationalError):
        while True:
            shop.opened(1)


class Full(OnShop):
    name = "connections"
    labels = {"alertname": "ProbePostgresFailed", "probe": "connections"}

    def befall(self, round: int) -> None:
        self.calm()
        self.shop.opened(1, "standing")
        fill(self.shop)
        self.settled("application_name = 'checkout' and state = 'idle'", 15)

    def over(self) -> bool:
        return int(self.shop.value("select count(*) from pg_stat_activity where usename = 'app'")) < 10


class Blocked(OnShop):
    name = "blocked"
    labels = {"alertname": "ProbePostgresFailed", "probe": "blocked"}

    def befall(self, round: int) -> None:
        self.calm()
        self.shop.hold_a_row(1, "forgotten")
        self.shop.begin("update orders set state = 'sold' where id = 1", number=3)
        eventually(lambda: self.shop.waiting() == 3, what="three to wait")
        self.settled("application_name = 'forgotten'", 1)

    def over(self) -> bool:
        return self.shop.waiting() == 0


class Long(OnShop):
    """Every other one does not hear that it is cancelled."""

    name = "long"
    labels = {"alertname": "ProbePostgresFailed", "probe": "long"}

    def befall(self, round: int) -> None:
        self.calm()
        self.shop.begin("select pg_sleep(60)", "standing")
        self.shop.begin(DEAF if round % 2 else "select pg_sleep(60)", "reports")
        since = "query_start < clock_timestamp() - '250ms'::interval"
        self.settled(f"state = 'active' and application_name = 'reports' and {since}", 1)

    def over(self) -> bool:
        query = "select count(*) from pg_stat_activity where application_name = 'reports' and state = 'active'"
        return int(self.shop.value(query)) == 0


class Lag(OnShop):
    """Somebody paused replaying and forgot."""

    name = "lag"
    labels = {"alertname": "ProbePostgresFailed", "probe": "lag"}

    def __init__(self, shop: Shop, standby: Shop) -> None:
        super().__init__(shop, "standby")
        self._standby = standby

    def befall(self, round: int) -> None:
        self.calm()
        with self._standby.admin() as connection:
            connection.execute("select pg_wal_replay_pause()")
        with self.shop.admin() as connection:
            connection.execute("select pg_logical_emit_message(false, 'fill', repeat('x', 1000000))")
            connection.execute("insert into orders select 1000, 'new' on conflict do nothing")
        behind = "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) > 500000"
        eventually(lambda: self._standby.value(behind), what="the standby to be behind")

    def over(self) -> bool:
        behind = "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
        return int(self._standby.value(behind)) < 256 * 1024

    def calm(self) -> None:
        super().calm()
        with self._standby.admin() as connection:
            if self._standby.value("select pg_is_wal_replay_paused()"):
                connection.execute("select pg_wal_replay_resume()")
        here = self.shop.value("select pg_current_wal_lsn()")
        caught_up = f"select pg_last_wal_replay_lsn() >= '{here}'"
        eventually(lambda: self._standby.value(caught_up), what="the standby to have caught up")


class Log(OnShop):
    """A log that has grown and that nothing holds any more."""

    name = "log"
    labels = {"alertname": "ProbePostgresFailed", "probe": "log"}

    def befall(self, round: int) -> None:
        self.calm()
        with self.shop.admin() as connection:
            connection.execute("select pg_create_physical_replication_slot('gone', true)")
            self.shop.write_log(7)
            connection.execute("checkpoint")  # of its own accord it makes no other one for a while
            connection.execute("select pg_drop_replication_slot('gone')")
        assert self.shop.log_bytes() >= 64 * 2**20

    def over(self) -> bool:
        return self.shop.log_bytes() < 64 * 2**20

    def calm(self) -> None:
        super().calm()
        with self.shop.admin() as connection:
            connection.execute("alter system set archive_command = 'true'")
            connection.execute("select pg_reload_conf()")
            connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active")
            connection.execute("select pg_stat_reset_shared('archiver')")
            connection.execute("checkpoint")


class Slot(Log):
    """A slot whose standby is gone holds the log: a person's to drop."""

    name = "slot"
    comes_to = "handed_over"
    says = "slot gone is used by nobody"

    def befall(self, round: int) -> None:
        self.calm()
        self.shop.value("select pg_create_physical_replication_slot('gone', true)")
        self.shop.write_log(4)

    def over(self) -> bool:
        return bool(self.shop.value("select count(*) = 1 from pg_replication_slots where slot_name = 'gone'"))


class Archive(Log):
    """Archiving fails, and the log waits for it."""

    name = "archive"
    comes_to = "handed_over"
    says = "archiving"

    def befall(self, round: int) -> None:
        self.calm()
        with self.shop.admin() as connection:
            connection.execute("alter system set archive_command = 'false'")
            connection.execute("select pg_reload_conf()")
            self.shop.write_log(2)
        failed = "select last_failed_time is not null from pg_stat_archiver"
        eventually(lambda: self.shop.value(failed), what="archiving to fail")

    def over(self) -> bool:
        return bool(self.shop.value("select count(*) > 0 from pg_ls_archive_statusdir() where name like '%.ready'"))


class Old(OnShop):
    """Nobody has frozen anything for a long time."""

    name = "wraparound"
    labels = {"alertname": "ProbePostgresFailed", "probe": "wraparound"}

    def befall(self, round: int) -> None:
        self.shop.age_by(OLD)
        assert self._age() >= OLD - 2**21
        self.calm()

    def over(self) -> bool:
        return self._age() < 1_000_000

    def _age(self) -> int:
        return int(self.shop.value("select max(age(datfrozenxid)) from pg_database where datallowconn"))


SERVES = """
import http.server, sys
held = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/leak":
            held.append("x" * 100_000_000)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


class Hung(Fault):
    """A process that hangs. Its supervisor is a thread here: it starts the next when one has ended."""

    name = "process"
    page = "process.md"
    labels = {"alertname": "ProbeHttpFailed", "probe": "health"}

    def __init__(self, folder: Path) -> None:
        self._port, self._pidfile = free_port(), folder / f"{self.name}.pid"
        self._over = threading.Event()
        self._now: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, daemon=True)
        self._thread.start()
        self._beside = subprocess.Popen([sys.executable, "-c", "input()", "payments-service"], stdin=subprocess.PIPE)

    def _supervise(self) -> None:
        while not self._over.is_set():
            self._now = subprocess.Popen([sys.executable, "-c", SERVES, "payments-service", str(self._port)])
            written = self._pidfile.with_suffix(".new")
            written.write_text(f"{self._now.pid}\n")
            written.rename(self._pidfile)
            self._now.wait()

    def _answers(self, path: str = "") -> bool:
        done = subprocess.run(
            ["curl", "-fsS", "-m", "1", f"http://127.0.0.1:{self._port}/{path}"], capture_output=True, check=False
        )
        return done.returncode == 0

    def befall(self, round: int) -> None:
        self.calm()
        assert self._now is not None
        self._now.send_signal(19)
        eventually(lambda: "T" in Path(f"/proc/{self._now.pid}/stat").read_text().split()[2], what="it to hang")  # type: ignore[union-attr]

    def over(self) -> bool:
        return self._answers()

    def calm(self) -> None:
        eventually(self._answers, what="the service")

    def bystanders(self) -> object:
        return self._beside.poll()

    def everything(self) -> object:
        return self.pid(), self.bystanders()

    def target(self) -> dict[str, Any]:
        return {
            "process": str(self._pidfile), "command": "payments-service",
            "health": f"http://127.0.0.1:{self._port}/", "restart with": "supervisor",
        }  # fmt: skip

    def pid(self) -> int:
        """Which one serves now."""
        assert self._now is not None
        return self._now.pid

    def close(self) -> None:
        """End it all."""
        self._over.set()
        for one in (self._now, self._beside):
            if one is not None:
                one.kill()
                one.wait()
        self._thread.join(5)


class HungThere(Hung):
    """The same on a machine that is reached by SSH."""

    name = "process-ssh"

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        super().__init__(folder)
        self._sshd = sshd

    def target(self) -> dict[str, Any]:
        return {**super().target(), "on": "web-1"}

    def beside(self) -> dict[str, dict[str, Any]]:
        return by_ssh(self._sshd)


def by_ssh(sshd: Sshd) -> dict[str, dict[str, Any]]:
    """The machine, as a plan has it."""
    reached = {"host": "127.0.0.1", "port": str(sshd.port), "user": sshd.user, "host key": sshd.host_key}
    return {"web-1": {"ssh": reached, "look with": "secret:web_look", "fix with": "secret:web_fix"}}


class Leaks(Hung):
    """It answers, and holds more memory than it may."""

    name = "leak"
    labels = {"alertname": "ProbeProcessFailed", "probe": "memory"}

    def befall(self, round: int) -> None:
        self.calm()
        eventually(lambda: self._answers("leak"), what="it to leak")

    def over(self) -> bool:
        return self._answers() and int(Path(f"/proc/{self.pid()}/statm").read_text().split()[1]) < 20_000


class LeaksThere(Leaks, HungThere):
    """The same on a machine that is reached by SSH."""

    name = "leak-ssh"


class Filled(Fault):
    """A folder full of old logs, beside young ones and what is no log."""

    name = "disk"
    page = "disk.md"
    labels = {"alertname": "ProbeDiskFailed", "probe": "log-folder"}

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "log"
        self._folder.mkdir(parents=True)

    def _write(self, name: str, days: float, size: int = 8_000) -> None:
        path = self._folder / name
        path.write_bytes(b"x" * size)
        os.utime(path, (time.time() - days * 86_400,) * 2)

    def befall(self, round: int) -> None:
        self.calm()
        for number in range(50):
            self._write(f"shop.log.{number + 10}", days=2 + number)

    def over(self) -> bool:
        return sum(one.stat().st_size for one in self._folder.iterdir()) < 100_000

    def calm(self) -> None:
        for one in self._folder.iterdir():
            one.unlink()
        for name, days in (("shop.log", 0.0), ("shop.log.1", 0.5), ("shop.log.2", 0.6), ("shop.log.3", 0.7)):
            self._write(name, days)
        self._write("orders.db", days=900)

    def bystanders(self) -> object:
        return [one for one in self.everything() if not re.fullmatch(r"shop\.log\.\d\d", one[0])]

    def everything(self) -> list[tuple[str, int, int]]:
        return sorted((one.name, one.stat().st_ino, one.stat().st_mtime_ns) for one in self._folder.iterdir())

    def target(self) -> dict[str, Any]:
        return {"folder": str(self._folder), "delete": ["*.log.*"]}


class FilledThere(Filled):
    """The same on a machine that is reached by SSH."""

    name = "disk-ssh"

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        super().__init__(folder / "there")
        self._sshd = sshd

    def target(self) -> dict[str, Any]:
        return {**super().target(), "on": "web-1"}

    def beside(self) -> dict[str, dict[str, Any]]:
        return by_ssh(self._sshd)


WRITES = """
import sys, time
with open(sys.argv[1], "a", buffering=1) as log:
    while True:
        log.write("an order was sold\\n" * 100)
        time.sleep(0.05)
"""
ROTATION = """{log} {{
    rotate 3
    compress
    copytruncate
    missingok
}}
"""


class Grows(Filled):
    """One log that a program has open and goes on writing to; there is nothing old to delete."""

    name = "rotate"

    def __init__(self, folder: Path) -> None:
        self._base = folder
        super().__init__(folder / "growing")
        self._log = self._folder / "shop.log"
        self._conf = folder / "rotation.conf"
        self._conf.write_text(ROTATION.format(log=self._log))
        self._writer: subprocess.Popen[bytes] | None = None

    def befall(self, round: int) -> None:
        self.calm()
        with self._log.open("a") as log:
            log.write("x" * 400_000)

    def calm(self) -> None:
        self.close()
        super().calm()
        self._writer = subprocess.Popen([sys.executable, "-c", WRITES, str(self._log)])

    def bystanders(self) -> object:
        assert self._writer is not None
        return [one for one in super().everything() if not one[0].startswith("shop.log")], self._writer.poll()

    def everything(self) -> list[tuple[str, int, int]]:
        return [one for one in super().everything() if one[0] != "shop.log"]

    def target(self) -> dict[str, Any]:
        command = [program("logrotate"), "--force", "--state", str(self._base / "rotated"), str(self._conf)]
        return {"folder": str(self._folder), "rotate": command}

    def close(self) -> None:
        """End who writes."""
        if self._writer is not None:
            self._writer.kill()
            self._writer.wait()


class Stage:
    """All the faults, the systems they befall, and the plan and secrets for a Tocsin beside them."""

    def __init__(self, faults: list[Fault], secrets: dict[str, str], old: Shop, crowded: Fault) -> None:
        self.old, self.crowded = old, crowded
        self.faults = {one.name: one for one in faults}
        self.secrets = secrets

    def write_plan(self, folder: Path) -> None:
        """The plan and its playbooks."""
        (folder / "playbooks").mkdir(parents=True)
        names: dict[str, list[str]] = {}
        for page in {one.page for one in self.faults.values()}:
            blocks = re.split(r'\n(?=""")', playbooks(page))
            for place, code in enumerate(blocks):
                (folder / "playbooks" / f"{Path(page).stem.lower()}{place}.py").write_text(code)
                names.setdefault(page, []).extend(re.findall(r'^    name="([^"]+)"', code, re.MULTILINE))
        services: dict[str, dict[str, Any]] = {
            one.name: {
                "escalation": "shop",
                "playbooks": names[one.page],
                "targets": {"it": one.target(), **one.beside()},
            }
            for one in self.faults.values()
        }
        probe = {"postgres": "secret:old_ro", "name": "connections", "connections": "90%"}
        services["probed"] = {
            "escalation": "shop",
            "playbooks": ["close-idle-connections"],
            "targets": {"it": self.faults["wraparound"].target()},
            "probes": [{**probe, "every": "1s", "failures": "1"}],
        }
        clients = {"redis": "secret:probed_ro", "name": "clients", "clients": "80%"}
        services["probed-redis"] = {
            "escalation": "shop",
            "playbooks": ["end-script", "drop-idle-clients"],
            "targets": {"it": self.crowded.target()},
            "probes": [{**clients, "every": "1s", "failures": "3"}],
        }
        routes = [
            {"match": [f'fault="{name}"'], "service": name, "group": {"by": ["fault", "round"]}} for name in self.faults
        ]
        plan = {
            "tocsin": "1", "team": "shop", "people": {"ana": {"name": "Ana"}},
            "escalations": {"shop": [{"page": "ana", "wait": "5m"}]}, "services": services, "routes": routes,
        }  # fmt: skip
        (folder / "tocsin.yaml").write_text(json.dumps(plan, indent=1))


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A PostgreSQL with its standby and archiving, another one that grows old, two Valkeys, services and a folder."""
    (folder / "sshd").mkdir(parents=True)
    with (
        running_shop(archive_mode="on") as shop,
        running_shop() as old,
        running_postgres(settings=SETTINGS, standby_of=shop.server) as server,
        on_valkeys(folder) as (redis_secrets, redis_faults, crowded),
        running_sshd(folder / "sshd") as sshd,
    ):
        standby = Shop(server)
        hung, leaks, grows = Hung(folder), Leaks(folder), Grows(folder)
        far, leaks_there = HungThere(folder, sshd), LeaksThere(folder, sshd)
        secrets = {
            "TOCSIN_SECRET_SHOP_RO": shop.reading, "TOCSIN_SECRET_SHOP_FIX": shop.fixing,
            "TOCSIN_SECRET_OLD_RO": old.reading, "TOCSIN_SECRET_OLD_FIX": old.fixing,
            "TOCSIN_SECRET_STANDBY_RO": standby.reading, "TOCSIN_SECRET_STANDBY_FIX": standby.fixing,
            "TOCSIN_SECRET_WEB_LOOK": sshd.key, "TOCSIN_SECRET_WEB_FIX": sshd.key,
        }  # fmt: skip
        faults: list[Fault] = [
            Full(shop), Blocked(shop), Long(shop), Lag(shop, standby), Log(shop), Slot(shop), Archive(shop),
            Old(old, "old"), hung, far, leaks, leaks_there, Filled(folder), FilledThere(folder, sshd), grows,
            *redis_faults,
        ]  # fmt: skip
        try:
            yield Stage(faults, secrets | redis_secrets, old, crowded)
        finally:
            for one in (hung, far, leaks, leaks_there, grows):
                one.close()
