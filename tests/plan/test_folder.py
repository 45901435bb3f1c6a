"""A plan's folder is read as it is, within bounds, and never through a door that leads out."""

from __future__ import annotations

import os

import pytest

from tocsin.plan import folder
from tocsin.plan.folder import PlanFolderError, load_folder


def test_every_yaml_file_of_the_folder_and_its_sub_folders_is_read(tmp_path):
    """By its path inside the folder; hidden ones and other kinds are left out."""
    (tmp_path / "teams" / "shop").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for name in ("tocsin.yaml", "teams/shop/a.yml", ".git/x.yaml", ".hidden.yaml", "README.md", "notes.yaml.bak"):
        (tmp_path / name).write_text(name)
    assert load_folder(tmp_path) == {"teams/shop/a.yml": b"teams/shop/a.yml", "tocsin.yaml": b"tocsin.yaml"}


def test_a_single_file_is_a_plan_too(tmp_path):
    """``tocsin plan check tocsin.yaml``."""
    (tmp_path / "a.yaml").write_bytes(b"x")
    (tmp_path / "b.yaml").write_bytes(b"y")
    assert load_folder(tmp_path / "a.yaml") == {"a.yaml": b"x"}


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    """File or folder: what a plan may read is what was checked in."""
    inside, outside = tmp_path / "plan", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.yaml").write_text("x")
    (inside / "a.yaml").symlink_to(outside / "secret.yaml")
    with pytest.raises(PlanFolderError, match=r"a\.yaml is a link out of the plan's folder"):
        load_folder(inside)
    (inside / "a.yaml").unlink()
    (inside / "sub").symlink_to(outside)
    with pytest.raises(PlanFolderError, match="sub is a link out of the plan's folder"):
        load_folder(inside)


def test_a_mounted_config_map_is_read_once(tmp_path):
    """Kubernetes links each file through a hidden folder beside it."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "tocsin.yaml").write_text("x")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "tocsin.yaml").symlink_to("..data/tocsin.yaml")
    assert load_folder(tmp_path) == {"tocsin.yaml": b"x"}


def test_the_folder_itself_may_be_a_link(tmp_path):
    """A deploy switches it to the next version."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "a.yaml").write_text("x")
    (tmp_path / "now").symlink_to("v1")
    assert load_folder(tmp_path / "now") == {"a.yaml": b"x"}


def test_a_pipe_does_not_hold_up_a_reload(tmp_path):
    """Nor does anything else that is not a file."""
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(PlanFolderError, match=r"a\.yaml is not a file"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("MAX_FILES", "more than 2 plan files"),
        ("MAX_FILE_BYTES", "a.yaml has more than 2 bytes"),
        ("_MAX_ENTRIES", "files and folders"),
    ],
)
def test_a_folder_is_bounded(tmp_path, monkeypatch, bound, message):
    """A plan that points at a whole disk is refused, not read."""
    for name in "abc":
        (tmp_path / f"{name}.yaml").write_text("xyz")
    monkeypatch.setattr(folder, bound, 2)
    with pytest.raises(PlanFolderError, match=message):
        load_folder(tmp_path)


def test_all_files_together_are_bounded(tmp_path, monkeypatch):
    """However many they are."""
    for name in "abc":
        (tmp_path / f"{name}.yaml").write_text("xyz")
    monkeypatch.setattr(folder, "MAX_BYTES", 8)
    with pytest.raises(PlanFolderError, match="more than 8 bytes in all"):
        load_folder(tmp_path)


def test_a_missing_folder_and_a_broken_link_are_said_in_words(tmp_path):
    """No trace back for what a person can put right."""
    with pytest.raises(PlanFolderError, match="there is no plan folder"):
        load_folder(tmp_path / "none")
    (tmp_path / "a.yaml").symlink_to("gone.yaml")
    with pytest.raises(PlanFolderError, match=r"cannot read the plan: .*a\.yaml"):
        load_folder(tmp_path)
