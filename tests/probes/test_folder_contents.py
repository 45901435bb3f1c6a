"""The disk probe can look at one folder's own size, and the plan can ask for it."""

from __future__ import annotations

from pathlib import Path

from tocsin.intake.probes import disk
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.outside import Outside
from tocsin.plan.reading import read_plan


class Aside:
    """Hands that call at once."""

    async def aside(self, key, call, *, within):
        return call()


async def look(path: Path, limit: str = "1000"):
    spec = ProbeSpec(service="checkout", name="log", kind="disk", target=str(path), options={"folder_bytes": limit})
    outside: Outside = Aside()  # type: ignore[assignment]  # the probe needs no other hand
    return await disk.check(spec, 0, outside)


async def test_a_folder_fails_once_it_holds_more_than_its_limit(tmp_path):
    """All files below it count, at any depth; exactly the limit is well."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"x" * 400)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 600)
    checked = await look(tmp_path)
    assert (checked.ok, checked.summary) == (True, f"{tmp_path} holds 1.0 kB")
    (tmp_path / "a" / "three").write_bytes(b"x")
    checked = await look(tmp_path)
    assert (checked.ok, checked.summary) == (False, f"{tmp_path} holds 1.0 kB; the limit is 1.0 kB")


async def test_links_are_neither_followed_nor_counted_twice(tmp_path):
    """A link to a large file elsewhere, or in a circle, adds only its own few bytes."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 5000)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(elsewhere)
    (folder / "circle").symlink_to(folder)
    assert (await look(folder)).ok


async def test_what_cannot_be_counted_is_a_failure(tmp_path, monkeypatch):
    """No folder, no number, too many entries: said, never taken for health."""
    checked = await look(tmp_path / "nowhere")
    assert (checked.ok, checked.summary) == (
        False,
        f"{tmp_path / 'nowhere'} does not exist, so nothing is known of its size",
    )
    assert not (await look(tmp_path, "elephant")).ok
    monkeypatch.setattr(disk, "_MOST_ENTRIES", 3)
    for number in range(4):
        (tmp_path / str(number)).touch()
    checked = await look(tmp_path)
    assert (checked.ok, checked.summary) == (False, f"{tmp_path} holds more than 3 files and folders")


async def test_a_file_is_no_folder(tmp_path):
    """The way to a file is not the way to what a folder holds."""
    (tmp_path / "file").write_text("x")
    checked = await look(tmp_path / "file")
    assert (checked.ok, checked.summary) == (False, f"{tmp_path / 'file'} cannot be looked at: Not a directory")


def test_the_plan_says_contents_for_it():
    """``{disk: PATH, contents: 20MiB}`` becomes the option, alone; not beside ``used`` or ``free``."""
    probe = "{disk: /srv/log, contents: 20MiB}"
    reading = read_plan({"shop.yaml": PLAN.replace("PROBE", probe).encode()})
    assert reading.plan is not None, reading
    assert reading.plan.probes[0].options == {"folder_bytes": str(20 * 1024 * 1024)}
    refused = read_plan({"shop.yaml": PLAN.replace("PROBE", "{disk: /srv/log, contents: 20MiB, used: 90%}").encode()})
    assert refused.plan is None


PLAN = """
tocsin: 1
people:
  ana: {email: ana@shop.example}
services:
  checkout:
    probes: [PROBE]
"""
