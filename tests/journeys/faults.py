"""A fault on a real system, and the playbooks of the documentation that answer it, waiting less long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

PAGES = Path(__file__).parents[2] / "docs" / "solutions"
_NOT_FULL = ':\n        run.hand_over("its disk'
SHORTER = {
    'IDLE_FOR = "10m"': 'IDLE_FOR = "50ms"',
    'IDLE_FOR = "5m"': 'IDLE_FOR = "50ms"',
    'LONGER_THAN = "30m"': 'LONGER_THAN = "200ms"',
    'LONGER_THAN = "5m"': 'LONGER_THAN = "200ms"',
    'HEARS_WITHIN = "10s"': 'HEARS_WITHIN = "200ms"',
    "NEAR_ENOUGH = 16 * 1024 * 1024": "NEAR_ENOUGH = 256 * 1024",
    "now.used_ratio < 0.85": "now.size < 100_000",  # of a whole disk that is not ours to fill
    f"before.used_ratio < 0.80{_NOT_FULL}": f"before.size < 100_000{_NOT_FULL}",
    'older_than="7d"': 'older_than="1s"',
    'spread="60s"': 'spread="1s"',
    'IDLE_FOR = "1h"': 'IDLE_FOR = "1s"',
    "MOST = 2 * 1024**3": "MOST = 80_000_000",
}


def playbooks(page: str) -> str:
    """The playbooks of a page of the documentation, waiting less long, on the rung *act*, and with no breaker."""
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.DOTALL)
    code = "\n\n".join(block for block in blocks if "@playbook" in block)
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    code = re.sub(r'trust\(start="ask"', 'trust(start="act"', code)
    code = re.sub(r"guards=\[[^\]]*\]", "guards=[breaker(failures=999, returns=999)]", code)
    return code.replace('"""\n\nfrom tocsin import Run, ', '"""\n\nfrom tocsin import breaker, Run, ')


class Fault:
    """One fault. ``labels``: of the alert that a monitor sends about it; ``comes_to``: how the run ends well."""

    name: ClassVar[str]
    page: ClassVar[str]
    labels: ClassVar[dict[str, str]]
    comes_to: ClassVar[str] = "watching"
    says: ClassVar[str] = ""
    """What a hand-over must have found."""

    def befall(self, round: int) -> None:
        """Make it."""
        raise NotImplementedError

    def over(self) -> bool:
        """Whether the fault is gone; for one that is handed over, whether what only a person may touch is untouched."""
        raise NotImplementedError

    def calm(self) -> None:
        """A healthy system again, with some ordinary work on it."""
        raise NotImplementedError

    def bystanders(self) -> object:
        """What nothing may have touched."""
        raise NotImplementedError

    def everything(self) -> object:
        """What nothing may have touched on a system that is well."""
        return self.bystanders()

    def target(self) -> dict[str, Any]:
        """The system, as the plan has it."""
        raise NotImplementedError

    def beside(self) -> dict[str, dict[str, Any]]:
        """Other targets of its service, by name: what it is reached through."""
        return {}
