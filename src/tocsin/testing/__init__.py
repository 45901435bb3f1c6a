"""Testing playbooks as their author: a scene with fake systems, a clock that jumps, and a Tocsin that can be killed.

With pytest the fixture ``scene`` is there as soon as Tocsin is installed.
"""

from __future__ import annotations

