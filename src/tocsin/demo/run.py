"""The demo, from the first line to the last child's end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import string
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Mapping, Sized
from pathlib import Path
from typing import Any, TextIO

from tocsin.cli.client import Api
from tocsin.cli.failure import UNREACHABLE, Failure
from tocsin.cli.place import TOKEN
from tocsin.cli.server import Place
from tocsin.demo import carts, ports, shop
from tocsin.demo.children import Children, environment
from tocsin.demo.faults import CHAPTERS, FOLDER_LIMIT, THE_END, Act, Chapter, timetable, without
from tocsin.demo.inbox import Inbox
from tocsin.demo.mail import Catcher, Letter
from tocsin.demo.ports import PORT, Ports
from tocsin.demo.story import Line, Story, in_order, now
from tocsin.kernel.instant import SECOND, format_duration
from tocsin.runtime.clock import SystemClock

FAST = 2.0
"""How many times faster ``--fast`` is. Probes and waits of the plan are shortened alike."""

_READY_WITHIN = 30.0
_GREEN_WITHIN = 30.0
_SETTLED_WITHIN = 20.0
_STARTED_AGAIN_AFTER = 30.0
_SUPERVISED = {"payments": 1.0}
"""Roles that are started again at once when they end, as systemd would, and after how many seconds."""
_LOOK = 0.4
_HELD = 1.2
"""So many seconds later a line is told: by then all that came before it is known."""
"""Seconds between two looks at what the server says."""

_UP = "tocsin"
_DEEDS: Mapping[str, signal.Signals] = {
    "hang": signal.SIGSTOP,
    "kill": signal.SIGKILL,
    "log everything": signal.SIGUSR1,
    "let a crawler in": signal.SIGUSR1,
}
_PLAYBOOKS = ("logs.py", "payments.py")


class Trouble(Exception):
    """The demo cannot go on. The text says why, and what to do when something can be done."""


def run(
    data: Path | None = None,
    port: int = PORT,
    *,
    mail_port: int | None = None,
    inbox_port: int | None = None,
    fast: bool = False,
    until_done: bool = False,
    out: TextIO | None = None,
) -> int:
    """Give the demo and return the exit code; everything it started has ended by then.

    `data`: keep Tocsin's own data there instead of in a temporary folder that goes at the end. Ports of 0 mean any free
    one. `until_done` ends after the last fault: 0 when everything happened that should when nobody answers, else 1.
    Without it the demo goes on until Ctrl-C, which is 0.
    """
    out = out or sys.stdout
    pace = FAST if fast else 1.0
    try:
        import aiosmtpd  # noqa: F401  # only whether it is there
    except ImportError:
        out.write("The demo's mail catcher needs one more package: pip install '.[demo]' in Tocsin's repository\n")
        return 1
    try:
        chosen = Ports.pick(port, inbox_port, mail_port)
    except ports.Busy as busy:
        out.write(f"{_as_asked(str(busy))}\n")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    children = Children(folder)
    colours = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def say(text: str) -> None:
        print(text, file=out, flush=True)

    demo = Demo(folder, data or folder / "data", chosen, children, pace, say, colours)
    try:
        return asyncio.run(demo.give(until_done))
    finally:
        children.close()
        chosen.let_go()
        if not until_done:
            say("Ended. Nothing is left behind." if data is None else f"Ended. Tocsin's data is in {data}.")


def _as_asked(text: str) -> str:
    """Options as whoever called the demo can give them: ``make demo`` takes none itself."""
    by_make = os.environ.get("TOCSIN_DEMO_BY") == "make"
    return re.sub(r"--[a-z-]*port \d+", r"""make demo DEMO_ARGS='\g<0>'""", text) if by_make else text


def by_hand(key: Mapping[str, str], state: str) -> str:
    """The command line that sends an event with a key."""
    event = json.dumps({"key": "by-hand", "title": "Card payments are slow", "severity": "warning", "state": state})
    return f"curl -s -H 'Content-Type: application/json' -d {shlex.quote(event)} {key['url']}"


class Demo:
    """One demo: what is started, in which order, and what is said about it."""

    def __init__(
        self,
        folder: Path,
        data: Path,
        listen: Ports,
        children: Children,
        pace: float,
        say: Callable[[str], None],
        colours: bool,
    ) -> None:
        """`folder` holds everything that goes at the end. `pace` divides all times of the timetable."""
        self._folder, self._data, self._ports, self._children, self._pace = folder, data, listen, children, pace
        self._say, self._colours = say, colours
        self._url = f"http://127.0.0.1:{listen.tocsin.number}"
        self._inbox_url = f"http://127.0.0.1:{listen.inbox.number}/"
        self._story = Story(people={"ana": "ana@shop.example", "ben": "ben@shop.example"}, inbox=self._inbox_url)
        self._catcher = Catcher(self._letter)
        self._inbox = Inbox(self._catcher, self._url)
        self._api: Api | None = None
        self._lines: list[Line] = []
        """What happened and is told a moment later, in its order: some of it is read from the server only then."""
        self._ping = ""
        self._carts: carts.CartStore | None = None
        self._chapters: tuple[Chapter, ...] = CHAPTERS
        self._down: dict[str, float] = {}
        """Roles that ended, and when they are started again; infinity for those the timetable takes care of."""
        self._stop = asyncio.Event()

    async def give(self, until_done: bool) -> int:
        """Everything, in order. Returns the exit code; the children are the caller's to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop.set)
        work = asyncio.create_task(self._all(until_done))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self._told()
                self._say("")
                return 1 if until_done else 0
            return work.result()
        except Trouble as trouble:
            self._told()
            self._say(f"\n{trouble}")
            return 1
        finally:
            for task in (work, stopped):
                task.cancel()
            await asyncio.gather(work, stopped, return_exceptions=True)
            await self._inbox.close()
            await self._catcher.close()

    async def _all(self, until_done: bool) -> int:
        self._say("Tocsin beside a small shop, with real faults. Ctrl-C ends everything and leaves nothing behind.\n")
        await self._catcher.listen(self._ports.smtp.take())
        await self._inbox.listen(self._ports.inbox.take())
        try:
            self._carts = carts.CartStore(carts.server(), self._folder / "carts", self._ports.carts.number)
            self._start(carts.ROLE)
        except carts.NotToBeHad as error:
            self._chapters = without(carts.ROLE)
            self._say(f"  Left out  the cart store and its fault: {error}")
        plan = self._write_plan()
        self._start("payments")
        self._start("checkout")
        self._start("storefront")
        await self._up(plan)
        self._ping = (await self._key("heartbeat", "worker", "--heartbeat", "drain"))["url"]
        self._start("worker")
        self._say(f"  Tocsin    {await self._sign_in()}")
        self._say(f"  Inbox     {self._inbox_url}")
        self._say(f"  The plan  {plan}\n")
        await self._until_green()
        self._tell("The shop is open and everything is green. The first fault comes in a few seconds.", "good")
        missing = await self._faults(patient=until_done)
        if until_done:
            return self._verdict(missing)
        await self._your_turn()
        return 0

    # --- putting it up

    def _write_plan(self) -> Path:
        def at(port: int) -> str:
            return f"http://127.0.0.1:{port}"

        def span(seconds: float) -> str:
            return format_duration(round(seconds / self._pace * 10) * SECOND // 10)

        path = self._folder / "plan" / "tocsin.yaml"
        path.parent.mkdir()
        filled = {
            "storefront": at(self._ports.storefront.number),
            "checkout": at(self._ports.checkout.number),
            "payments": at(self._ports.payments.number),
            "smtp": self._ports.smtp.number,
            "log": self._folder / "log",
            "run": self._folder / "run",
            "log_limit": f"{FOLDER_LIMIT // 2**20}MiB",
            "today": time.strftime("%Y-%m-%d", time.gmtime()),
            "look_every": span(2),
            "answer_within": span(10),
            "ping_every": span(3),
            "ping_grace": span(4),
        }
        here = self._carts is not None
        for name, written in (("plan.yaml", path), *([("carts.yaml", path.with_name("carts.yaml"))] if here else [])):
            template = string.Template(Path(__file__).with_name(name).read_text(encoding="utf-8"))
            written.write_text(template.substitute(filled), encoding="utf-8")
        code = path.with_name("playbooks")
        code.mkdir()
        for each in (*_PLAYBOOKS, *(("carts.py",) if here else ())):
            shutil.copyfile(Path(__file__).with_name("playbooks") / each, code / each)
        return path

    def _start(self, role: str) -> int:
        where = {one: str(getattr(self._ports, one).number) for one in ("payments", "checkout", "storefront")}
        payments, checkout = (f"http://127.0.0.1:{where[one]}" for one in ("payments", "checkout"))
        queue, log = str(self._folder / "queue"), str(self._folder / "log")
        own = {
            "payments": ["--port", where["payments"]],
            "checkout": ["--port", where["checkout"], "--payments", payments, "--queue", queue, "--log", log],
            "storefront": ["--port", where["storefront"], "--payments", payments, "--checkout", checkout],
            "worker": ["--queue", queue, "--ping", self._ping, "--ping-every", f"{3 / self._pace * 0.8:g}"],
        }
        self._down.pop(role, None)
        if role == carts.ROLE:
            assert self._carts is not None
            self._ports.carts.let_go()  # it binds the port itself; so does Tocsin
            return self._children.start(role, self._carts.argv)
        environment = self._carts.shop if self._carts is not None and role == "storefront" else {}
        pid = self._children.start(role, [sys.executable, "-m", shop.__name__, role, *own[role]], environment)
        pidfile = self._folder / "run" / f"{role}.pid"
        pidfile.parent.mkdir(exist_ok=True)
        pidfile.write_text(f"{pid}\n")
        return pid

    async def _up(self, plan: Path) -> None:
        argv = ["up", "--data", str(self._data), "--plan", str(plan.parent), "--port", str(self._ports.tocsin.number)]
        secrets = self._carts.tocsin if self._carts is not None else {}
        self._ports.tocsin.let_go()
        self._children.start(_UP, [sys.executable, "-m", "tocsin", *argv], secrets)

        async def ready() -> bool:
            self._still_up()
            try:
                status, _ = await asyncio.to_thread(shop.call, f"{self._url}/readyz", None, 2.0)
            except OSError:
                return False
            return status == 200

        await self._until(ready, _READY_WITHIN, "Tocsin did not become ready")
        self._api = Api(Place(self._url, (self._data / TOKEN).read_text().strip()))

    def _still_up(self) -> None:
        if not self._children.alive(_UP):
            if self._api is None and not ports.free(port := self._ports.tocsin.number):
                raise Trouble(ports.taken(port, "Tocsin", "--port"))  # between our letting go and its binding
            raise Trouble(f"Tocsin ended by itself. Its last words:\n{self._children.tail(_UP)}")

    async def _sign_in(self) -> str:
        """A link that signs the one who opens it in, as the ordinary command makes it."""
        return str((await self._ask_tocsin("user", "link", "admin", "--for", "12h"))["url"])

    async def _key(self, source: str, service: str, *more: str) -> dict[str, str]:
        """Make a key: ``key``, and the ``url`` a sender is given."""
        made = await self._ask_tocsin("key", "create", "--source", source, "--service", service, *more)
        return {"key": str(made["key"]), "url": str(made["url"])}

    async def _ask_tocsin(self, *argv: str) -> dict[str, Any]:
        """Run an ordinary command and read what it prints as JSON; again when it says that later may help."""
        deadline = time.monotonic() + _READY_WITHIN
        while True:
            code, printed, said = await self._run_tocsin(*argv)
            if code == 0:
                answer = json.loads(printed)
                assert isinstance(answer, dict)
                return answer
            if code != UNREACHABLE or time.monotonic() > deadline:
                raise Trouble(f"tocsin {shlex.join(argv)} failed: {said}")
            self._still_up()
            await asyncio.sleep(0.2)

    async def _run_tocsin(self, *argv: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tocsin", *argv, "--data", str(self._data), "--json"),
            env=environment(),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        printed, said = await process.communicate()
        return process.returncode, printed.decode(errors="replace"), said.decode(errors="replace").strip()

    async def _until_green(self) -> None:
        async def green() -> bool:
            self._still_up()
            await self._look()
            for port in (self._ports.storefront.number, self._ports.checkout.number):
                try:
                    status, _ = await asyncio.to_thread(shop.call, f"http://127.0.0.1:{port}/health")
                except OSError:
                    return False
                if status != 200:
                    return False
            return not self._story.open()

        await self._until(green, _GREEN_WITHIN, "The shop did not become green")

    async def _until(self, condition: Callable[[], Any], within: float, what: str) -> None:
        deadline = time.monotonic() + within
        while not await condition():
            if time.monotonic() > deadline:
                raise Trouble(f"{what} within {within:g} s. Tocsin's last words:\n{self._children.tail(_UP)}")
            await asyncio.sleep(0.1)

    # --- the story

    def _tell(self, text: str, tone: Any = "plain") -> None:
        """The demo itself speaks, after all that has happened."""
        self._told()
        self._say(Line(now(), "demo", text, tone).shown(self._colours))

    def _happened(self, text: str, tone: Any) -> None:
        self._lines.append(Line(now(), "shop", text, tone))

    def _letter(self, letter: Letter) -> None:
        self._lines.append(self._story.letter(letter))

    def _told(self, until: float = float("inf")) -> None:
        """Tell what happened until then."""
        told, self._lines = in_order(self._lines, until)
        for line in told:
            self._say(line.shown(self._colours))

    async def _look(self) -> None:
        """Read what is new on the server and tell it. If it does not answer for a moment, it is asked again later."""
        if self._api is None:
            return
        try:
            incidents = await asyncio.to_thread(self._api.get, "/incidents", {"limit": 50})
            items = {int(one["number"]): one for one in incidents["items"]}
            for number in self._story.changed(items.values()):
                timeline = await asyncio.to_thread(self._timeline, number)
                self._lines += self._story.incident(items[number], timeline)
        except Failure:
            self._still_up()
        self._told(SystemClock().now() / SECOND - _HELD)

    def _timeline(self, number: int) -> list[dict[str, Any]]:
        assert self._api is not None
        return list(self._api.every(f"/incidents/{number}/timeline"))

    def _do(self, act: Act) -> None:
        if act.deed == "start":
            if self._children.alive(act.role):
                return  # someone was faster
            pid = self._start(act.role)
        else:
            pid = self._children.pid(act.role)
            self._children.signal(act.role, _DEEDS[act.deed])
        if act.deed == "kill":
            self._down[act.role] = float("inf")
        tone = "bad" if any(act is chapter.breaks for chapter in self._chapters) else "good"
        self._happened(act.says.format(pid=pid), tone)

    async def _faults(self, patient: bool) -> list[str]:
        """Go through the timetable. Returns what should have happened and has not.

        A `patient` repairer mends only once the fault was noticed, and breaks the next thing only once all is well: a
        machine that is busy with something else makes the story longer, not false. Where people may answer, nobody
        can say what should have happened, so the timetable alone counts.
        """
        began = time.monotonic()
        missing: list[str] = []
        for chapter, act in timetable(self._chapters):
            await self._watch(began + act.at / self._pace)
            if patient:
                came = time.monotonic()
                await self._settled(self._story.missing if act is chapter.breaks else self._story.unnoticed)
                began += time.monotonic() - came
            if act is chapter.breaks:
                missing += self._story.missing()
                self._story.begin(chapter)
                self._told()
                self._say("")
                self._tell(chapter.title, "head")
            self._do(act)
        await self._watch(began + THE_END / self._pace)
        await self._settled(self._story.open)
        return missing + self._story.missing()

    async def _settled(self, waiting_for: Callable[[], Sized]) -> None:
        """Watch until there is nothing to wait for, or it has taken too long."""
        deadline = time.monotonic() + _SETTLED_WITHIN
        while waiting_for() and time.monotonic() < deadline:
            await self._watch(time.monotonic() + _LOOK)

    async def _watch(self, until: float) -> None:
        """Look and tell until then."""
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(_LOOK, left))
            self._still_up()
            self._keep_the_shop_open()
            await self._look()

    def _keep_the_shop_open(self) -> None:
        """Start again, after a while, what ended without the timetable's doing."""
        for role in (*shop.ROLES, *([carts.ROLE] if self._carts is not None else [])):
            if self._children.alive(role):
                self._down.pop(role, None)
            elif role not in self._down:
                after = _SUPERVISED.get(role, _STARTED_AGAIN_AFTER)
                self._down[role] = time.monotonic() + after
                if role in _SUPERVISED:
                    self._happened(f"{role} ended; its supervisor starts it again in {after:g} s", "held")
                else:
                    again = f"it is started again in {after:g} s"
                    self._happened(f"{role} ended, and not by the timetable; {again}", "bad")
            elif time.monotonic() >= self._down[role]:
                self._happened(f"{role} is started again: process {self._start(role)}", "good")

    def _verdict(self, missing: list[str]) -> int:
        self._told()
        self._say("")
        for each in missing:
            self._tell(f"Missing. {each}", "bad")
        if not missing:
            self._tell(self._all_well(), "good")
        return 1 if missing else 0

    def _all_well(self) -> str:
        by_code = sum(chapter.fixed_by_code for chapter in self._chapters)
        rest = len(self._chapters) - by_code
        how = f"{by_code} by code before anybody was paged, {rest} after people were paged"
        return f"All {len(self._chapters)} faults were resolved: {how}."

    async def _your_turn(self) -> None:
        """Say what can be tried, and keep telling."""
        key = await self._key("events", "checkout")
        pid = self._children.pid
        self._told()
        self._say("")
        still = self._story.open()
        green = "Everything is green again." if not still else f"{len(still)} incidents are still open."
        self._tell(f"{green} Now it is your turn, in another terminal:", "head")
        for what, how in (
            ("hang payments", f"kill -STOP {pid('payments')}"),
            ("fill the log", f"kill -USR1 {pid('checkout')}"),
            *([("fill the carts", f"kill -USR1 {pid('storefront')}")] if self._carts is not None else []),
            ("end the worker", f"kill {pid('worker')}"),
            ("send an event", by_hand(key, "firing")),
            ("end it", by_hand(key, "resolved")),
        ):
            self._say(f"            {what:<15} {how}")
        self._say("")
        while True:
            await self._watch(time.monotonic() + 3600)
