"""The Redis probe, against a real Valkey and against nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.valkey import running_valkey
from tocsin.intake.probes import probes
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND
from tocsin.runtime.outbound import Outbound


async def test_it_says_how_full_it_is_and_when_that_is_too_much(tmp_path: Path) -> None:
    secrets: dict[str, str] = {}

    def secret(reference: str) -> str:
        if reference not in secrets:
            raise LookupError(f"{reference} is not set")
        return secrets[reference]

    check, outside = probes(secret)["redis"], Outbound()
    spec = ProbeSpec(service="cart", name="redis cart", kind="redis", target="secret:cart", timeout=2 * SECOND)
    assert (await check(spec, 0, outside)).summary == "Redis cart cannot be asked: secret:cart is not set"
    with running_valkey(tmp_path) as valkey:
        secrets["secret:cart"] = valkey.reading
        well = await check(spec, 0, outside)
        assert well.ok and well.summary.startswith("Redis cart uses ")
        valkey.fill()
        full = await check(spec, 0, outside)
        assert not full.ok and full.summary.endswith("% of its memory, 90 % is too much")
        assert full.facts["policy"] == "noeviction"
        secrets["secret:cart"] = valkey.reading.replace("readingword", "wrongword")
        refused = await check(spec, 0, outside)
        assert refused.summary == "Redis cart did not answer: AuthenticationError"
        assert "wrongword" not in repr(refused)
    gone = await check(spec, 0, outside)
    assert not gone.ok and gone.summary == "Redis cart did not answer: ConnectionError"
    await outside.close()


async def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    outside = Outbound()
    spec = ProbeSpec(service="cart", name="redis cart", kind="redis", target="secret:cart")
    found = await probes(lambda reference: "redis://localhost")["redis"](spec, 0, outside)
    assert not found.ok and "pip install 'tocsin[redis]'" in found.summary
    await outside.close()
