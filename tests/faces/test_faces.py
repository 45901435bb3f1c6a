"""What handlers work with: bounded reads, the plan read once, passwords, and refusals as documents."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from litestar import get
from litestar.testing import AsyncTestClient

from tests.faces.filled import BASE, FakeCore, faces_of, fill, plan, sqlite_url
from tocsin.engine.commands import Acknowledge, Result
from tocsin.faces.application import application
from tocsin.faces.comparing import MOST_WAITING, Comparer
from tocsin.faces.core import CoreGone
from tocsin.faces.passwords import Guesses, hash_password, password_is
from tocsin.faces.problem import Problem
from tocsin.faces.sessions import ALPHABET, derived_secret, fresh_secret
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.plan.model import Plan


async def test_too_many_reads_at_once_are_asked_to_come_back(tmp_path: Path) -> None:
    """Rather than waiting without a bound."""
    fill(sqlite_url(tmp_path))
    faces = faces_of(sqlite_url(tmp_path), threads=1, waiting=1)
    hold = threading.Event()
    held = [asyncio.ensure_future(faces.read(hold.wait, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await faces.read(faces.reads.plan_version)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "2")
    hold.set()
    await asyncio.gather(*held)
    assert await faces.read(faces.reads.plan_version) == "abc123"
    await faces.close()


async def test_a_plan_is_read_once_until_another_is_in_force(tmp_path: Path) -> None:
    """Its version says when."""
    fill(sqlite_url(tmp_path))
    faces = faces_of(sqlite_url(tmp_path))
    asked: list[str] = []

    def reading(version: str, files: Mapping[str, bytes]) -> Plan:
        asked.append(version)
        return plan(version, files)

    faces._read_plan = reading
    for _ in range(3):
        found = await faces.plan()
        assert found is not None
        assert "checkout" in found.services
    assert asked == ["abc123"]
    await faces.close()


async def test_a_refused_command_is_a_problem_and_a_silent_core_is_503(tmp_path: Path) -> None:
    """Handlers need not look at results."""
    fill(sqlite_url(tmp_path))
    core = FakeCore()
    faces = faces_of(sqlite_url(tmp_path), core)
    core.answer = Result(ok=False, code="not_found", message="There is no incident #9", field="incident")
    with pytest.raises(Problem) as refused:
        await faces.submit(Acknowledge(incident=9))
    assert (refused.value.status, refused.value.field) == (404, "incident")
    core.answer = Result(ok=False, code="unavailable", message="It could not be decided: the disk is full")
    with pytest.raises(Problem) as not_now:
        await faces.submit(Acknowledge(incident=9))
    assert (not_now.value.status, not_now.value.headers) == (503, {"Retry-After": "2"})
    core.gone = True
    with pytest.raises(CoreGone):
        await faces.submit(Acknowledge(incident=9))
    await faces.close()


async def test_a_fault_of_ours_says_nothing_of_its_cause(tmp_path: Path) -> None:
    """The log knows; the caller gets a 500 of the usual shape."""

    @get("/fault", needs="anyone")
    async def fault() -> str:
        raise RuntimeError("secret detail")

    fill(sqlite_url(tmp_path))
    async with AsyncTestClient(application([fault], faces_of(sqlite_url(tmp_path))), base_url=BASE) as client:
        answer = await client.get("/fault")
    assert (answer.status_code, answer.json()["code"]) == (500, "fault")
    assert "secret" not in answer.text


def test_a_password_is_known_by_its_hash_alone() -> None:
    """Salted: two hashes of one password differ; anything else is refused."""
    one, other = hash_password("correct horse battery"), hash_password("correct horse battery")
    assert one != other
    assert password_is("correct horse battery", one)
    assert not password_is("correct horse batterz", one)
    for stored in ("", "plain", "scrypt$x$8$1$a$b", "scrypt$32768$8$1$!$!"):
        assert not password_is("correct horse battery", stored)
    with pytest.raises(ValueError, match="12"):
        hash_password("short")


def test_guesses_are_counted_per_name_and_address_within_a_bound() -> None:
    """Five at once, then one each half minute; the oldest is forgotten first."""
    guesses = Guesses(most=2)
    assert [guesses.wait("ana", "a", 0) for _ in range(6)] == [0, 0, 0, 0, 0, MINUTE // 2]
    assert guesses.wait("ana", "b", 0) == 0
    assert guesses.wait("ana", "a", MINUTE // 2 - SECOND) == SECOND
    assert guesses.wait("ana", "a", MINUTE // 2) == 0
    for name in ("x", "y", "z"):
        guesses.wait(name, "a", 0)
    assert len(guesses._free_at) == 2


def test_secrets_are_long_and_of_letters_and_digits() -> None:
    """Derived ones are the same for the same request and differ for any other."""
    key = b"k" * 32
    assert derived_secret(key, "key", "ana", "1") == derived_secret(key, "key", "ana", "1")
    made = {derived_secret(key, purpose, actor, "1") for purpose in ("key", "link") for actor in ("ana", "bo")}
    made |= {derived_secret(b"l" * 32, "key", "ana", "1"), fresh_secret(), fresh_secret()}
    assert len(made) == 7
    assert all(len(one) == 32 and set(one) <= set(ALPHABET) for one in made)


async def test_plans_are_compared_one_after_another_beside_the_reads_of_pages() -> None:
    """What took too long goes on alone: the next waits for it, in the same thread, and pages are read meanwhile."""
    comparer, hold, running = Comparer(longest=0.2), threading.Event(), []

    def compare(name: str) -> str:
        running.append(name)
        hold.wait(10)
        return name

    with pytest.raises(Problem) as slow:
        await comparer.run(compare, "first")
    assert (slow.value.status, slow.value.code, "Retry-After" in slow.value.headers) == (503, "too_long", False)
    assert "takes more than" in slow.value.detail
    with pytest.raises(Problem) as behind:
        await comparer.run(compare, "second")
    assert (behind.value.code, behind.value.detail) == ("unavailable", "other plans are being compared")
    hold.set()
    assert await comparer.run(compare, "third") == "third"
    assert running == ["first", "third"], "nobody waited for the second any more"
    comparer.close()


async def test_so_many_may_wait_for_a_comparison_and_what_it_raises_is_theirs() -> None:
    comparer, hold = Comparer(), threading.Event()
    held = [asyncio.ensure_future(comparer.run(hold.wait, 10)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await comparer.run(hold.wait, 10)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "10")
    held[-1].cancel()
    await asyncio.wait([held[-1]])
    hold.set()
    assert await asyncio.gather(*held[:-1]) == [True] * (MOST_WAITING - 1)
    with pytest.raises(ZeroDivisionError):
        await comparer.run(lambda: 1 // 0)
    comparer.close()
