"""What another file of the plan changes at import in what a playbook uses is part of the playbook's meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.playbooks.runner.reach import Code

SHARED = "LIMIT = 5\nHOOKS = []\n\n\ndef register(one):\n    HOOKS.append(one)\n\n\ndef look():\n    return HOOKS\n"
USES = "from playbooks import shared\n\n\ndef go(run):\n    return shared.LIMIT, [one(run) for one in shared.HOOKS]\n"


def meaning(folder: Path, other: str, **more: str) -> str:
    files = {"shared": SHARED, "a": USES, "zz": other, "again": "from playbooks.shared import HOOKS\n", **more}
    (folder / "playbooks").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "playbooks" / f"{name}.py").write_text(text)
    return Code(folder).meaning([("playbooks.a", "go")])


@pytest.mark.parametrize(
    "change",
    [
        "from playbooks import shared\nshared.LIMIT = WHAT\n",
        "from playbooks import shared as other\nother.LIMIT += WHAT\n",
        "from playbooks.shared import HOOKS\nHOOKS.append(lambda run: WHAT)\n",
        "from playbooks.shared import HOOKS\nHOOKS[:] = [WHAT]\n",
        "from playbooks.shared import HOOKS\nHOOKS += [WHAT]\n",
        "from playbooks.shared import *\nHOOKS.append(WHAT)\n",
        "from playbooks import again\nagain.HOOKS.append(WHAT)\n",
        "import playbooks.shared\nplaybooks.shared.LIMIT = WHAT\n",
        "from playbooks import shared\nshared.register(WHAT)\n",
        "from playbooks import shared\nHANDLE = shared.register(WHAT)\n",
        "from playbooks import shared\nHANDLE: object = shared.register(WHAT)\n",
        "from playbooks import shared\nif shared.register(WHAT):\n    pass\n",
        "from playbooks import shared\nassert shared.register(WHAT) is None\n",
        "from playbooks.shared import register\nHANDLE = register(WHAT)\n",
        "from playbooks.shared import HOOKS\nN = HOOKS.append(WHAT)\n",
        "from playbooks.shared import HOOKS\n\n\ndef add(to, one):\n    to.append(one)\n\n\nN = add(HOOKS, WHAT)\n",
        "from playbooks import shared\n\n\nclass Hook:\n    it = shared.register(WHAT)\n",
        "from playbooks import shared\n\n\ndef hook(it=shared.register(WHAT)):\n    pass\n",
        "from playbooks import shared\n\n\n@shared.register\ndef hook(run):\n    return WHAT\n",
        "from playbooks import shared\nsetattr(shared, 'LIMIT', WHAT)\n",
        "from playbooks import shared\n\n\ndef patch():\n    shared.LIMIT = WHAT\n\n\npatch()\n",
        "def patch():\n    from playbooks import shared\n    shared.LIMIT = WHAT\n\n\npatch()\n",
        "from playbooks import shared\nMOST = 1\nif MOST:\n    shared.LIMIT = WHAT\n",
        "from playbooks import shared\nMOST = WHAT\nshared.LIMIT = MOST\n",
    ],
)
def test_what_another_file_changes_there_counts(tmp_path: Path, change: str) -> None:
    none, one, two = (
        meaning(tmp_path, text) for text in ("", change.replace("WHAT", "1"), change.replace("WHAT", "2"))
    )
    assert len({none, one, two}) == 3
    assert meaning(tmp_path, f"# a comment\n{change.replace('WHAT', '1')}") == one


@pytest.mark.parametrize(
    "harmless",
    [
        "from playbooks import shared\nOWN = [shared.LIMIT * WHAT]\n",
        "from playbooks import shared\nOWN = sorted(shared.HOOKS) + [max(shared.LIMIT, WHAT)]\n",
        "OWN = []\nOWN.append(WHAT)\n",
        "from playbooks import shared\n\n\ndef never():\n    shared.LIMIT = WHAT\n",
        "class shared:\n    pass\n\n\nshared.LIMIT = WHAT\n",
    ],
)
def test_what_another_file_only_reads_does_not(tmp_path: Path, harmless: str) -> None:
    one, two = (meaning(tmp_path, harmless.replace("WHAT", what)) for what in "12")
    assert one == two == meaning(tmp_path, "")
