"""What the solution for folders finds and deletes, in real folders; nothing outside them, whatever lies in the way.

All of it on this machine, and all of it once more by SSH, through a real OpenSSH server.
"""

from __future__ import annotations

import ast
import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from tests.support.needs import program
from tests.support.sshd import Sshd, running_sshd
from tocsin import Refused
from tocsin.library import below, disk
from tocsin.playbooks.language import Vault, vault

T = TypeVar("T")
IT = disk.Folder(name="log")
HOUR = 3600


class Place:
    """A folder as a plan declares it, beside one that is none of our business."""

    def __init__(self, base: Path) -> None:
        self.folder, self.outside = base / "log", base / "outside"
        self.folder.mkdir()
        self.outside.mkdir()
        self.said: dict[str, object] = {"folder": str(self.folder), "delete": ["*.log.*"]}

    def write(self, name: str, age: float = 0, size: int = 8192, under: Path | None = None) -> Path:
        path = (under or self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    def step(self, call: Callable[[], T]) -> T:
        token = vault.set(Vault({"log": msgspec.json.encode(self.said).decode()}))
        try:
            return call()
        finally:
            vault.reset(token)

    def names(self) -> set[str]:
        return {one.relative_to(self.folder).as_posix() for one in self.folder.rglob("*") if one.is_file()}


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def far(place: Place, sshd: Sshd) -> Place:
    """The same folder, reached by SSH."""
    place.said["on"] = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "host_keys": [sshd.host_key]}
    place.said["secrets"] = {"key": sshd.key}
    return place


@pytest.fixture
def near(tmp_path: Path) -> Place:
    """Here alone: where the way there makes no difference."""
    return Place(tmp_path)


@pytest.fixture(params=["here", "by SSH"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    made = Place(tmp_path)
    return far(made, request.getfixturevalue("sshd")) if request.param == "by SSH" else made


def test_old_files_go_and_the_floor_the_young_the_open_and_all_others_stay(place: Place) -> None:
    for number in range(6):
        place.write(f"shop.log.{number}", age=(number + 2) * HOUR)
    place.write("deep/er/shop.log.9", age=9 * HOUR)
    place.write("shop.log", age=9 * HOUR)
    place.write("orders.db", age=9 * HOUR)
    place.write("fresh.log.1", age=60)
    with (place.folder / "shop.log.5").open("rb"):
        found = place.step(lambda: disk.preview(IT, older_than="1h", keep=2))
    assert [one.name for one in found.files] == [
        "deep/er/shop.log.9", "shop.log.4", "shop.log.3", "shop.log.2", "shop.log.1",
    ]  # fmt: skip
    assert (found.held, found.kept, found.young, found.size) == (1, 2, 0, 5 * 8192)
    assert place.step(lambda: disk.preview(IT, older_than="1h", keep=0)).young == 1
    assert len(place.names()) == 10, "a preview deletes nothing"

    done = place.step(lambda: disk.delete.function(IT, found.files))
    assert (done.files, done.size, done.left) == (5, 5 * 8192, 0)
    assert place.names() == {"shop.log", "orders.db", "fresh.log.1", "shop.log.0", "shop.log.5"}
    again = place.step(lambda: disk.delete.function(IT, found.files))
    assert (again.files, again.left) == (0, 5), "again it does nothing"


def test_no_more_goes_than_is_asked_for(near: Place) -> None:
    for number in range(6):
        near.write(f"a.log.{number}", age=(9 - number) * HOUR)
    found = near.step(lambda: disk.preview(IT, older_than="1h", keep=0, down_to=4 * 8192))
    assert [one.name for one in found.files] == ["a.log.0", "a.log.1"]
    assert near.step(lambda: disk.preview(IT, older_than="1h", match="b.*")).files == ()


def test_links_are_not_followed_neither_by_a_look_nor_by_a_delete(place: Place) -> None:
    precious = place.write("a.log.1", age=9 * HOUR, under=place.outside)
    place.write("sub/a.log.1", age=9 * HOUR)
    (place.folder / "link.log.1").symlink_to(precious)
    (place.folder / "linked").symlink_to(place.outside)
    found = place.step(lambda: disk.preview(IT, older_than="1h", keep=0))
    assert [one.name for one in found.files] == ["sub/a.log.1"]
    # Between the preview and the fix somebody puts a link to the outside in the folder's place.
    (place.folder / "sub").rename(place.folder / "was")
    (place.folder / "sub").symlink_to(place.outside)
    for name in ("sub/a.log.1", "linked/a.log.1", "link.log.1", "../outside/a.log.1", str(precious)):
        one = precious.stat()
        files = (*found.files, disk.File(name, 1, one.st_ino, one.st_mtime_ns))
        assert place.step(partial(disk.delete.function, IT, files)).files == 0
    assert precious.exists()
    place.said["folder"] = str(place.folder / "linked")
    with pytest.raises(disk.Trouble, match="a link is not followed"):
        place.step(lambda: disk.usage(IT))


def test_a_file_that_changed_after_the_preview_stays(place: Place) -> None:
    place.write("a.log.1", age=9 * HOUR)
    place.write("b.log.1", age=9 * HOUR)
    found = place.step(lambda: disk.preview(IT, older_than="1h", keep=0))
    place.write("a.log.1")
    (place.folder / "b.log.1").unlink()
    place.write("b.log.1", age=8 * HOUR)
    assert place.step(lambda: disk.delete.function(IT, found.files)).left == 2
    assert place.names() == {"a.log.1", "b.log.1"}


def test_what_the_plan_does_not_let_go_is_never_deleted(place: Place) -> None:
    path = place.write("orders.db", age=9 * HOUR)
    one = path.stat()
    forged = disk.File("orders.db", one.st_size, one.st_ino, one.st_mtime_ns)
    assert place.step(lambda: disk.delete.function(IT, (forged,))).left == 1
    place.said["delete"] = []
    assert place.step(lambda: disk.preview(IT, older_than="1h", keep=0)).files == ()
    assert path.exists()


@pytest.mark.parametrize("folder", ["/", "/var", "/var/../etc", "relative/folder", "/no/such/folder"])
def test_a_folder_that_is_none_or_too_much_is_refused(near: Place, folder: str) -> None:
    near.said["folder"] = folder
    with pytest.raises(disk.Trouble):
        near.step(lambda: disk.preview(IT))


def test_what_grows_is_found(near: Place) -> None:
    near.write("large.log", size=500_000)
    grows, stop = near.folder / "grows.log", threading.Event()

    def write() -> None:
        with grows.open("ab") as out:
            while not stop.wait(0.01):
                out.write(b"x" * 8192)
                out.flush()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        found = near.step(lambda: disk.growth(IT, over="300ms"))
    finally:
        stop.set()
        thread.join()
    assert list(found.grown) == ["grows.log"] and found.grown["grows.log"] > 0
    assert "large.log" in {one.name for one in found.largest}
    used = near.step(lambda: disk.usage(IT))
    assert used.files == 2 and used.size >= 500_000 and 0 < used.used_ratio <= 1


ROTATION = """{log} {{
    rotate 2
    copytruncate
}}
"""


def test_what_is_written_to_is_rotated_by_the_plan_s_own_command_and_seen_to_be(place: Place, tmp_path: Path) -> None:
    log = place.write("deep/shop.log", size=400_000)
    (tmp_path / "conf").write_text(ROTATION.format(log=log))
    (grown,) = place.step(lambda: disk.growth(IT, over="1ms")).largest
    with pytest.raises(Refused, match="does not say how log is rotated"):
        place.step(lambda: disk.rotate.function(IT, grown))
    place.said["rotate"] = [program("logrotate"), "--force", "--state", str(tmp_path / "state"), str(tmp_path / "conf")]
    assert not place.step(lambda: disk.was_rotated(IT, grown))
    with log.open("ab") as writer:
        said = place.step(lambda: disk.rotate.function(IT, grown))
        assert said.startswith("deep/shop.log was rotated: it held 40") and said.endswith("and holds 0 bytes now")
        writer.write(b"goes on")
    assert log.read_bytes() == b"goes on" and (place.folder / "deep" / "shop.log.1").stat().st_size == 400_000
    assert place.step(lambda: disk.was_rotated(IT, grown))
    assert place.step(lambda: disk.rotate.function(IT, grown)) == "deep/shop.log was rotated already"
    assert not (place.folder / "deep" / "shop.log.2").exists(), "it is rotated once"


def test_a_rotation_that_fails_or_is_of_another_file_is_said_to_be(near: Place, tmp_path: Path) -> None:
    log = near.write("shop.log", size=40_000)
    (grown,) = near.step(lambda: disk.growth(IT, over="1ms")).largest
    near.said["rotate"] = ["sh", "-c", "echo 'no such configuration' >&2; exit 1"]
    with pytest.raises(Exception, match="no such configuration"):
        near.step(lambda: disk.rotate.function(IT, grown))
    near.said["rotate"] = ["true"]
    with pytest.raises(disk.Trouble, match=r"shop\.log is what it was"):
        near.step(lambda: disk.rotate.function(IT, grown))
    log.unlink()
    outside = near.write("other.log", under=near.outside)
    log.symlink_to(outside)
    assert near.step(lambda: disk.was_rotated(IT, grown)), "a link is not the file"
    assert near.step(lambda: disk.rotate.function(IT, grown)) == "shop.log was rotated already"
    escaped = disk.File("../outside/other.log", 8192, outside.stat().st_ino, 0)
    assert near.step(lambda: disk.was_rotated(IT, escaped)), "nothing outside is looked at"


ODD = ("-rf.log.1", "a b'c\"d.log.2", "$(touch gone).log.3", "`id`;rm *.log.4", "ünï—文.log.5", "deep/-x/&.log.6")


def test_names_are_never_words_of_a_command(place: Place) -> None:
    for name in ODD:
        place.write(name, age=9 * HOUR)
    place.write("new\nline.log.7", age=9 * HOUR)
    place.write("orders.db", age=9 * HOUR)
    found = place.step(lambda: disk.preview(IT, older_than="1h", keep=0))
    assert {one.name for one in found.files} == set(ODD), "what cannot be printed is left alone"
    done = place.step(lambda: disk.delete.function(IT, found.files))
    assert (done.files, done.left) == (len(ODD), 0)
    assert place.names() == {"new\nline.log.7", "orders.db"}
    assert list(place.outside.iterdir()) == []


def test_what_cannot_be_asked_there_is_said_and_a_greeting_is_no_answer(tmp_path: Path, sshd: Sshd) -> None:
    place = far(Place(tmp_path), sshd)
    place.write("shop.log", size=8192)
    allowed = sshd.private_host_key.parent / "authorized"
    key = allowed.read_text()

    def first(command: str) -> None:
        allowed.write_text(f'command="{command}; eval \\"$SSH_ORIGINAL_COMMAND\\"" {key}')

    try:
        first("echo Welcome to web-1")
        assert place.step(lambda: disk.usage(IT)).files == 1
        first("PATH=/nowhere")
        with pytest.raises(disk.Trouble, match=r"127\.0\.0\.1 has no python3"):
            place.step(lambda: disk.usage(IT))
        first("exit 3")
        with pytest.raises(disk.Trouble, match="could not say: it ended with 3"):
            place.step(lambda: disk.usage(IT))
        first("echo no; exit 0")
        with pytest.raises(disk.Trouble, match="answered something else"):
            place.step(lambda: disk.usage(IT))
    finally:
        allowed.write_text(key)
    place.said["on"] = {**place.said["on"], "host_keys": [sshd.other_host_key]}  # type: ignore[dict-item]
    with pytest.raises(disk.Trouble, match="host key that is not in the plan"):
        place.step(lambda: disk.usage(IT))


def test_eight_hundred_files_fit_through_the_line(tmp_path: Path, sshd: Sshd) -> None:
    place = far(Place(tmp_path), sshd)
    for number in range(below.MOST_DELETED + 5):
        place.write(f"{'long' * 30}.log.{number}", age=9 * HOUR, size=1)
    found = place.step(lambda: disk.preview(IT, older_than="1h", keep=0))
    assert len(found.files) == below.MOST_DELETED
    assert place.step(lambda: disk.delete.function(IT, found.files)).files == below.MOST_DELETED
    assert len(place.names()) == 5


def test_the_code_that_goes_over_the_line_needs_no_new_python_and_nothing_of_ours() -> None:
    tree = ast.parse(inspect.getsource(below), feature_version=(3, 7))
    names = [one.module for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
    assert not [name for name in names if name is None or name.startswith("tocsin")]


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("*.log.*", ["x.log.1", "old/deep/x.log.1"], ["x.log"]),
        ("old/*", ["old/x"], ["old/keep/x", "old/keep/deep/x", "older/x", "old", "a/old/x"]),
        ("old/*.log.*", ["old/x.log.1"], ["old/keep/x.log.1", "x.log.1"]),
        ("old/**", ["old/x", "old/keep/deep/x"], ["old", "older/x"]),
        ("**/x", ["x", "old/x", "old/keep/deep/x"], ["old/y", "old/x/y"]),
        ("old/**/x.?", ["old/x.1", "old/keep/deep/x.1"], ["old/x.10", "x.1"]),
        ("old/[ab]*/**/*", ["old/a/x", "old/b1/y/z"], ["old/c/x", "old/a"]),
        ("/".join(["**"] * 40) + "/y", ["y", "a/y"], ["/".join(["a"] * 60)]),
    ],
)
def test_a_pattern_with_a_slash_is_of_each_part_of_a_path(pattern: str, meant: list[str], not_meant: list[str]) -> None:
    assert [one for one in (*meant, *not_meant) if below._like(one, pattern)] == meant
