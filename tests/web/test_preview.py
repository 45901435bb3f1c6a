"""A changed plan that waits, and a file that is tried: drawn beside what is in force, by plain links and forms."""

from __future__ import annotations

import html

import pytest

from tests.web.conftest import Browserless
from tests.web.night import HOSTILE, PLAN
from tests.web.serving import Site
from tests.web.test_oncall import shown
from tocsin.faces.disk import Look, OnDisk
from tocsin.plan import Reading, read_plan
from tocsin.plan import previewing as comparing
from tocsin.plan.folder import PlanFolderError
from tocsin.web import keeping, preview

TEXT = PLAN["tocsin.yaml"].decode()
CHANGED = TEXT.replace("rotate: [ana, ben], every: week", "rotate: [ana, mei], every: week")


@pytest.fixture
def folder(site: Site) -> dict[str, bytes]:
    """The plan folder, as files that a test may change."""
    files = dict(PLAN)

    def read() -> dict[str, bytes]:
        if "gone" in files:
            raise PlanFolderError("there is no plan folder")
        return dict(files)

    assert site.faces is not None
    site.faces.disk = OnDisk(read, read)
    return files


def test_a_plan_that_waits_is_said_on_the_page_and_drawn(
    site: Site, ana: Browserless, folder: dict[str, bytes]
) -> None:
    """Before and after, with whoever it is then; the button sends the very version that was looked at."""
    assert "A changed plan waits" not in ana.get("/oncall").text
    assert "No changed plan waits." in shown(ana.get("/oncall/preview").text)
    folder["tocsin.yaml"] = CHANGED.encode()
    assert site.faces is not None
    assert site.faces.disk is not None
    site.faces.disk.looked = None  # five seconds later
    assert 'href="/oncall/preview"' in ana.get("/oncall").text
    page = ana.get("/oncall/preview").text
    text = shown(page)
    assert "The plan that waits changes who is on call by one schedule." in text
    assert "Mon 26 Oct, 09:00 Mei Tanaka instead of Ben Okafor, 7 d" in text
    assert "<title>Ben, Mon 26 Oct, 09:00 to Mon 2 Nov, 09:00</title>" in page
    assert "<title>Mei, Mon 26 Oct, 09:00 to Mon 2 Nov, 09:00</title>" in page
    assert page.count("mark-bar") == 4, "two turns of four weeks, each over a Monday morning"
    version = read_plan(folder).plan.version  # type: ignore[union-attr]
    ana.send("/plan/reload")
    assert site.core.reloads == [("person:ana", version)]


def test_turns_of_hours_are_drawn_day_by_day(site: Site, ana: Browserless, folder: dict[str, bytes]) -> None:
    """In a line for a week a turn of two hours is a stripe without a name."""
    weekly = "rotate: [ana, ben], every: week, handoff: Mon 09:00"
    hourly = TEXT.replace(weekly, "rotate: [ana, mei, ben], every: 2h, handoff: 09:00")
    ana.get("/oncall/preview?file=tocsin.yaml")
    for text, parts in ((hourly, 4), (CHANGED, 7)):
        ana.send("/oncall/preview", name="tocsin.yaml", text=text)
        short = parts == 4
        assert ("Turns are short here, so each line is a day." in shown(ana.page)) == short
        lanes = ana.page.split('<svg class="lane')[1:]
        assert len(lanes) == 2 * (7 if short else 4)
        assert {lane.count('class="day"') for lane in lanes} == {parts - 1}
    ana.send("/oncall/preview", name="tocsin.yaml", text=hourly)
    assert "shop-primary, Tue 20 Oct to Mon 26 Oct" in shown(ana.page)


def test_a_plan_that_waits_with_errors_cannot_be_put_in_force(ana: Browserless, folder: dict[str, bytes]) -> None:
    folder["tocsin.yaml"] = (CHANGED + f"  nowhere: {{escalation: {HOSTILE!r}}}\n").encode()
    page = ana.get("/oncall/preview").text
    assert "It has errors, so it cannot be put in force." in shown(page)
    assert "Put it in force" not in page
    assert "<script>alert" not in page


def test_a_file_is_tried_and_nothing_is_kept(site: Site, ana: Browserless, folder: dict[str, bytes]) -> None:
    form = ana.get("/oncall/preview?file=tocsin.yaml").text
    assert html.escape("shop-primary:") in form
    assert "What would this file change?" in shown(form), "whether another plan waits was not looked at"
    ana.send("/oncall/preview", name="tocsin.yaml", text=CHANGED)
    assert "This file changes who is on call by one schedule." in shown(ana.page)
    assert "would be judged no more" not in shown(ana.page)
    ana.send("/oncall/preview", name="tocsin.yaml", text=CHANGED.replace("nightly-export:", "export:"))
    said = "The heartbeat orders-batch/nightly-export, which was heard so far, would be judged no more."
    assert said in shown(ana.page)
    assert "Put it in force" not in ana.page
    assert site.core.asked == []
    for name, text, fault in (
        ("tocsin.yaml", " ", "Paste the file, or choose one."),
        ("playbooks/x.py", "import os", "playbooks are looked at by tocsin plan check"),
        ("tocsin.yaml", "a" * 900_001, "The file is longer than"),
    ):
        answer = ana.send("/oncall/preview", name=name, text=text)
        assert (answer.status_code, fault in shown(answer.text)) == (400, True), answer.text[:2_000]


def test_who_may_not_reload_may_look_and_not_try(site: Site, folder: dict[str, bytes]) -> None:
    """Ben, a responder, sees what waits; a viewer does not, nor does a form of another site count."""
    folder["tocsin.yaml"] = CHANGED.encode()
    ben = Browserless(site, 2)
    page = ben.get("/oncall/preview").text
    assert "An admin puts it in force" in page
    assert "Try a file" not in page
    assert ben.http.post("/oncall/preview", data={"text": CHANGED}).status_code == 403
    assert Browserless(site).http.post("/oncall/preview", data={"text": CHANGED}).status_code == 403, "no form token"


def test_a_folder_that_cannot_be_used_is_said_to_be_so(site: Site, ana: Browserless, folder: dict[str, bytes]) -> None:
    """Not that its files are in force: whoever has just put some there would believe that they count."""
    folder["gone"] = b""
    board = shown(ana.get("/oncall").text)
    assert "The plan folder cannot be used: there is no plan folder." in board
    assert "A changed plan waits" not in board
    page = shown(ana.get("/oncall/preview").text)
    assert "The plan folder cannot be used: there is no plan folder." in page
    assert "The plan in force stays as it is." in page
    assert "those in force" not in page
    assert site.faces is not None
    assert site.faces.disk is not None
    assert site.faces.disk.looked is not None
    site.faces.disk.looked = (*site.faces.disk.looked[:2], Look(waits=True))  # it went between the two looks
    page = shown(ana.get("/oncall/preview").text)
    assert "The plan folder cannot be used: there is no plan folder." in page
    assert "those in force" not in page


def test_of_many_schedules_some_have_a_section_and_what_is_too_much_says_so(
    ana: Browserless, folder: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "MOST_SECTIONS", 1)
    begin, _, end = CHANGED.partition("schedules:\n")
    more = "".join(f"  x{one}: {{layers: [{{rotate: ana}}]}}\n" for one in range(3))
    folder["tocsin.yaml"] = f"{begin}schedules:\n{more}{end}".encode()
    text = shown(ana.get("/oncall/preview").text)
    assert "The plan that waits changes who is on call by four schedules." in text
    assert "3 more schedules x0, x1, x2. tocsin plan preview" in text.replace("\u00a0", " ")

    monkeypatch.setattr(comparing, "MOST_TURNS", 10)
    page = shown(ana.get("/oncall/preview").text)
    assert "A changed plan waits that is too much to compare." in page
    assert "10 are compared at most" in page
    answer = ana.send("/oncall/preview", name="tocsin.yaml", text=CHANGED)
    assert (answer.status_code, "10 are compared at most" in answer.text) == (413, True)
    assert "rotate: [ana, mei]" in answer.text, "what was typed is not lost"

    asked: list[int] = []

    def reads(files: dict[str, bytes], now: int = 0) -> Reading:
        asked.append(now)
        return read_plan(files, now)

    monkeypatch.setattr(keeping, "read_plan", reads)
    ana.get("/plan")
    assert asked, "the page Plan reads what it finds"
    assert all(asked), "and looks ahead from now, as a check does"
