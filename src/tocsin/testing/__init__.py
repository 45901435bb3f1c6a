"""Testing playbooks as their author: a scene with fake systems, a clock that jumps, and a Tocsin that can be killed.

With pytest the fixture ``scene`` is there as soon as Tocsin is installed: see ``plugin``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.testing.scene import Scene as Scene


def __getattr__(name: str) -> Any:
    if name == "Scene":
        from tocsin.testing.scene import Scene

        return Scene
    raise AttributeError(f"module 'tocsin.testing' has no attribute {name!r}")
