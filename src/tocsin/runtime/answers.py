"""What people answer through channels, on its way in.

A provider that calls back comes to ``/callbacks/<channel>/…`` on the core's own port: an answer must be heard when the
pages for people are down. The channel verifies who speaks; whether it counts is ``pages.answers``' to decide; what
counts becomes the same command as the button behind a mail's link. Answers told twice are known by the provider's own
name for them, across restarts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from tocsin.access.actors import person_of
from tocsin.engine.commands import Acknowledge, AnswerDrill, Result
from tocsin.engine.inputs import Receipted
from tocsin.engine.ledger import still_tells
from tocsin.engine.state import State
from tocsin.incidents.incident import Incident
from tocsin.intake.request import Limits, Reply
from tocsin.kernel.buckets import Bucket
from tocsin.kernel.identity import identity
from tocsin.kernel.instant import SECOND
from tocsin.pages.answers import (
    CLOCKS,
    Answer,
    Call,
    Called,
    DeafError,
    Got,
    Heard,
    Listening,
    Taken,
    Words,
    behind,
    how_to_answer,
    refusal,
)
from tocsin.pages.ledger import ASKING, Page, tells
from tocsin.pages.message import Channel
from tocsin.pages.spoken import Spoken, answered_by_yes, asks_alone
from tocsin.runtime.begun import ended
from tocsin.runtime.clock import Clock
from tocsin.runtime.jobs import Job
from tocsin.runtime.listener import Exchange

log = structlog.get_logger("tocsin.answers")

PATH = "/callbacks/"
LIMITS = Limits(rate=50.0, burst=200, body=64 * 1024)
"""What a channel's calls may be: those that answer, those that say how far a page got, and those its provider did not
send, each kind together. Nobody else can use up what answers need.
"""
MOST_AT_ONCE = 64
"""So many of a channel's calls of one kind may wait for their commit."""
MOST_NAMED = 4
"""So many incidents are named to whoever answered for several: it may be read out to them."""
MOST_TOLD = 1_000
"""So many wrong numbers are remembered, that nobody is told of one twice."""
LONGEST_END = 3.0
"""Seconds that calls under way have to come to their end when everything ends: what a channel thanks with may hang."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before a provider that could not be listened to is asked again."""


class Answers:
    """Takes answers of all channels. Runs on the event loop; the engine's state is only read here."""

    def __init__(
        self,
        state: Callable[[], State],
        submit: Callable[[Acknowledge | AnswerDrill, str], Awaitable[Result]],
        apply: Callable[[Job], Awaitable[Job]],
        clock: Clock,
        public_url: str,
        away: Callable[[], bool] = lambda: False,
    ) -> None:
        """``away``: whether nothing can be written down now."""
        self._state, self._submit, self._apply = state, submit, apply
        self._clock, self._public_url, self._away = clock, public_url, away
        self._channels: dict[str, Channel] = {}
        self._buckets: dict[str, Bucket] = {}
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._under_way: Counter[str] = Counter()
        """How many of them there are of a channel and kind: receipts that wait keep no answer out."""
        self._spoken, self._began = Spoken(), 0
        self._clear: set[str] = set()
        """Marks of words that were taken for a page: told again, they are not doubted for what was said since."""
        self._told_how: set[int] = set()
        """Pages whose people were told how to answer, since they wrote something else."""
        self._told_number: set[tuple[str, int]] = set()
        """Who was told that a number is no page of theirs, and which."""
        self._unwritten: dict[str, str] = {}
        """What was said to answers that are in memory alone: told again meanwhile, they are not judged again."""

    def spoke(self, channel: str, address: str, page: int) -> None:
        """A message leaves; ``page`` is the number in it, be it one that nobody can answer."""
        self._spoken.note(channel, address, page, self._clock.now())

    def replace(self, channels: Mapping[str, Channel]) -> None:
        """Hear these channels from now on."""
        self._began = self._began or self._clock.now()
        gone = [name for name, channel in self._channels.items() if channel is not channels.get(name)]
        for name in gone:
            task = self._listening.pop(name, None)
            if task is not None:
                task.cancel()
        self._channels = dict(channels)
        for name, channel in channels.items():
            if name not in self._listening and isinstance(channel, Listening):
                self._listening[name] = asyncio.create_task(self._listen(name, channel))

    async def close(self) -> None:
        """Hear nothing any more; what was taken is finished, when that takes no longer than it may."""
        await ended(self._listening.values())
        if self._calls:
            await asyncio.wait(self._calls, timeout=LONGEST_END)
        await ended(self._calls)

    async def _listen(self, name: str, channel: Listening) -> None:
        async def take(told: Answer | Got) -> Taken:
            return await self.take(name, told)

        def find(provider_id: str) -> list[Page]:
            return [page for page in self._state().said.at(name, provider_id) if page.kind in ASKING]

        wait = FIRST_WAIT
        while True:
            began = self._clock.now()
            try:
                await channel.listen(take, find)
            except DeafError as error:
                log.warning("not_listening", channel=name, why=str(error), again_in=wait)
            except Exception:  # a channel's own fault must not make it deaf for ever
                log.exception("listening_fault", channel=name)
            await asyncio.sleep(wait)
            wait = FIRST_WAIT if self._clock.now() - began > LONGEST_WAIT * SECOND else min(2 * wait, LONGEST_WAIT)

    def handle(self, exchange: Exchange) -> bool:
        """Take a request if it is a provider's call; False when it is not."""
        if not exchange.path.startswith(PATH):
            return False
        name, _, rest = exchange.path[len(PATH) :].partition("/")
        channel: object = self._channels.get(name)
        if not isinstance(channel, Called):
            exchange.answer(_text(404, "No channel is called here."))
        elif exchange.method != "POST":
            exchange.answer(_text(405, "Only POST is taken here.", ("allow", "POST")))
        elif len(exchange.body) > LIMITS.body:
            exchange.answer(_text(413, f"The body has more than {LIMITS.body} bytes."))
        else:
            call = Call(
                url=self._public_url + exchange.target.decode("latin-1"),
                path=rest,
                headers={name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers},
                body=exchange.body,
                now=self._clock.now(),
            )
            self._hear(name, channel, call, exchange)
        return True

    def _hear(self, name: str, channel: Called, call: Call, exchange: Exchange) -> None:
        """Who calls is known before they are counted: what anybody can send holds up no answer."""
        try:
            heard = channel.hear(call)
        except Exception:  # the edge: what a channel cannot read is refused like anything else
            if self._may(name, "refused", exchange):
                log.exception("call_fault", channel=name)
                exchange.answer(_text(400, "This could not be read."))
            return
        if isinstance(heard, Reply):
            if self._may(name, "refused", exchange):
                log.warning("call_refused", channel=name, status=heard.status, client=exchange.peer)
                exchange.answer(heard)
        elif heard.answer is None and heard.got is None and heard.words is None:
            exchange.answer(heard.reply)  # the provider's, and nothing to do: to be told of it again would cost more
        elif self._may(name, _kind(heard), exchange):
            kind = f"{name} {_kind(heard)}"
            self._under_way[kind] += 1
            task = asyncio.create_task(self._called(name, channel, heard, exchange))
            self._calls.add(task)
            task.add_done_callback(lambda task: self._over(task, kind))

    def _over(self, task: asyncio.Task[None], kind: str) -> None:
        self._calls.discard(task)
        self._under_way[kind] -= 1

    def _may(self, name: str, kind: str, exchange: Exchange) -> bool:
        """Whether one more call of a kind may be; if not, it was told to come again."""
        now, full = self._clock.now(), self._under_way[f"{name} {kind}"] >= MOST_AT_ONCE
        bucket = self._buckets.setdefault(f"{name} {kind}", Bucket(LIMITS, now))
        if not full and bucket.take(LIMITS, now):
            return True
        exchange.answer(_text(429, "Too many calls; try again.", ("retry-after", "1")))
        return False

    async def _called(self, name: str, channel: Called, heard: Heard, exchange: Exchange) -> None:
        try:
            exchange.answer(await self._reply(name, channel, heard))
        except Exception:  # the edge: a channel's own fault is a refusal, and its provider tells it again
            log.exception("call_fault", channel=name)
            exchange.answer(_text(400, "This could not be read."))

    async def _reply(self, name: str, channel: Called, heard: Heard) -> Reply:
        if heard.got is not None:
            await self.take(name, heard.got)
        if heard.words is not None:
            return await self._understood(name, channel, heard.words)
        if heard.answer is None:
            return heard.reply
        taken = await self.take(name, heard.answer)
        if heard.answer.typed:
            return await self._thank(name, channel, heard.answer, taken)
        return await channel.thank(heard.answer, taken)

    async def _thank(self, name: str, channel: Called, answer: Answer, taken: Taken, asks: int = 0) -> Reply:
        """Say what came of words. ``asks``: the one page that this asks for; what was not taken is asked for again."""
        if not taken.stranger:
            self._spoken.note(name, answer.by, answer.page if taken.again else asks, self._clock.now())
        return await channel.thank(answer, taken)

    async def _understood(self, name: str, channel: Called, words: Words) -> Reply:
        """What somebody wrote without a number: a yes answers what was said last; else they are told how.

        Who says something else than yes is told so once for each page: it costs money.
        """
        waiting = self._waiting(name, words.by)
        said = self._spoken.lately(name, words.by, self._clock.now())
        page = answered_by_yes(said, waiting) if words.yes else None
        if page is not None:
            answer = Answer(page=page.id, by=words.by, mark=words.mark)
            return await self._thank(name, channel, answer, await self.take(name, answer))
        told = {page.id for page in waiting} - self._told_how
        self._told_how = (self._told_how & self._state().pages.keys()) | told
        how = how_to_answer(waiting)
        nothing = not how or not (told or words.yes)  # who says yes believes that they have it
        taken = Taken(False, "" if nothing else how, stranger=nothing)
        asks = waiting[0].id if len(waiting) == 1 else 0
        return await self._thank(name, channel, Answer(page=0, by=words.by, mark=words.mark), taken, asks)

    def _mistyped(self, name: str, told: Answer) -> str:
        """What somebody is told whose number is none of their pages, while some wait; once for each: it costs money."""
        how, once = how_to_answer(self._waiting(name, told.by)), (told.by, told.page)
        if not how or once in self._told_number:
            return ""
        if len(self._told_number) >= MOST_TOLD:
            self._told_number.clear()
        self._told_number.add(once)
        return f"{told.page} is no page of yours. {how}"

    def _waiting(self, name: str, address: str) -> list[Page]:
        """The pages that left for an address and wait for an answer, the oldest first; of one message the first.

        What was refused, or did not arrive as its provider says, nobody has read: no yes is an answer to it.
        """
        state, now = self._state(), self._clock.now()
        found: dict[int, Page] = {}
        for page in sorted(state.pages.values(), key=lambda one: (one.handed_at or 0, one.id)):
            went = page.handed_at is not None and (page.left or page.state == "intended")
            if not went or refusal(page, name, Answer(page=page.id, by=address, mark=""), now):
                continue
            incident = state.incidents.get(page.incident)
            open_ = incident is not None and incident.open and page.person not in incident.answers
            open_ = open_ and incident is not None and not incident.opened_after(page.intended_at)
            waits = open_ and (page.kind == "help" or (incident is not None and incident.state == "triggered"))
            if page.answered_at is None and (waits or page.kind == "drill"):
                head = state.pages.get(page.bundle, page)
                found.setdefault(head.id, head)
        return list(found.values())

    async def take(self, name: str, told: Answer | Got) -> Taken:
        """Have what a channel verified decided; answers after the commit."""
        state = self._state()
        if isinstance(told, Answer) and told.incident:
            its = sorted(state.pages_of.get(told.incident, {}).values(), key=lambda one: one.id)
            told = behind(told, [one for one in its if one.channel == name])
        page = state.pages.get(told.page)
        if isinstance(told, Got):
            if page is None or page.channel != name or not tells(page, told.receipt):
                return Taken(False, "")  # told again, however often, it is not worth a row of the journal
            await self._apply(Job(Receipted(page.id, told.receipt, told.error[:500], told.provider_id[:200])))
            return Taken(True, "")
        why = refusal(page, name, told, self._clock.now())
        if page is None or why:
            log.warning("answer_refused", channel=name, page=told.page, why=why)
            stranger = page is None or page.address != told.by
            how = self._mistyped(name, told) if stranger and told.typed else ""
            return Taken(False, how or why, stranger=stranger and not how)
        if told.written and not self._means(name, told, page):
            self._spoken.note(name, told.by, page.id, self._clock.now())
            log.warning("answer_unclear", channel=name, page=page.id)
            meant = f"incident #{page.incident}, {page.title}" if page.incident else f"“{page.title}”"
            return Taken(False, f"Do you mean {meant}?", unclear=True)
        actor, number = f"person:{page.person}", page.incident
        state = self._state()
        held, told_of = state.incidents.get(number), still_tells(state, page)
        helps = page.kind == "help" and held is not None and held.helped_by(page.intended_at)
        key = f"{name}:{identity(told.mark).hex()}"
        if not self._away():
            self._unwritten.clear()
        elif key in self._unwritten:
            return Taken(False, self._unwritten[key], again=True)
        if page.kind == "drill" or helps or self._asks(page.person, told_of):
            command = (
                AnswerDrill(actor=actor, page=page.id)
                if page.kind == "drill"
                else Acknowledge(actor=actor, incident=number, page=page.id, over=False)
            )
            result = await self._submit(command, key)
            if not result.ok:
                log.warning("answer_refused", channel=name, page=page.id, why=result.message)
                if result.code == "unwritten":
                    self._unwritten[key] = f"{result.message}."
                return Taken(False, f"{result.message}.", again=result.code in ("unavailable", "unwritten"))
            if page.kind == "drill" or helps:
                log.info("answer_taken", channel=name, page=page.id, incident=number)
                return Taken(True, f"You come to help with incident #{number}." if helps else "That is how to answer.")
            if not self._theirs(page.person, told_of):
                log.warning("answer_refused", channel=name, page=page.id, why="it was told before")
                return Taken(False, "")  # a replay: nobody is there to read why
        log.info("answer_taken", channel=name, page=page.id, incident=number)
        return Taken(True, f"{self._theirs(page.person, told_of)}.")

    def _means(self, name: str, told: Answer, page: Page) -> bool:
        """Whether words that name no page can only mean one: what was said there last asks for it.

        Of what was written before Tocsin began nothing is known: there the newest page is meant, and nobody is asked
        in the morning what they meant at night.
        """
        key = f"{name}:{told.mark}"
        if key in self._clear:
            return True
        said = self._spoken.lately(name, told.by, min(told.written, self._clock.now()), CLOCKS)
        clear = asks_alone(said, page, told.later, self._state().pages)
        if not said and told.written <= self._began + CLOCKS:
            clear = True
        if clear:
            if len(self._clear) >= MOST_TOLD:
                self._clear.clear()
            self._clear.add(key)
        return clear

    def _asks(self, person: str, pages: Sequence[Page]) -> bool:
        """Whether of what came in one message something is not theirs yet that an answer can make so."""
        known = self._state().incidents
        waits = (one for page in pages if (one := known.get(page.incident)) is not None and one.state == "triggered")
        return any(person not in one.answers for one in waits) or not self._theirs(person, pages)

    def _theirs(self, person: str, pages: Sequence[Page]) -> str:
        """Says to a person which incidents of one message they have, or have with others; "" when they have none."""
        known = self._state().incidents
        told_of = [one for number in sorted({page.incident for page in pages}) if (one := known.get(number))]
        have = [f"#{one.number}" for one in told_of if _has(person, one)]
        said = [one.noted for one in told_of if person in one.answers]
        if len(have) > MOST_NAMED:
            said.insert(0, f"You have {len(have):,} incidents")
        elif have:
            several = f"s {', '.join(have[:-1])} and {have[-1]}" if len(have) > 1 else f" {have[0]}"
            said.insert(0, f"You have incident{several}")
        more = len(said) - MOST_NAMED
        return ". ".join([*said[:MOST_NAMED], f"And so for {more:,} more"] if more > 0 else said)


def _has(person: str, incident: Incident) -> bool:
    return incident.state == "acknowledged" and person_of(incident.acknowledged_by) == person


def _kind(heard: Heard) -> str:
    return "answers" if heard.answer is not None else "words" if heard.words is not None else "receipts"


def _text(status: int, text: str, *headers: tuple[str, str]) -> Reply:
    return Reply(status, f"{text}\n".encode(), "text/plain; charset=utf-8", headers)
