"""What both servers are measured under: 50 services, 100 routes, as a plan and as Alertmanager's configuration."""

from __future__ import annotations

from typing import Any

SERVICES = 50


def tocsin_plan(hook: str = "") -> dict[str, Any]:
    """`tocsin.yaml` as data. `hook`: where pages are posted; "" leaves them on the console."""
    person: dict[str, Any] = {"name": "Ana"}
    if hook:
        person["webhook"] = {"url": hook, "secret": "secret:bench_hook"}
    services: dict[str, Any] = {"inbox": {"about": "What no other service takes.", "escalation": "default"}}
    routes: list[dict[str, Any]] = []
    for job in _jobs():
        services[job] = {"about": "Measured.", "tier": 2, "escalation": "default"}
        routes.append(
            {
                "match": [f'job="{job}"', 'alertname="HighErrorRate"'],
                "service": job,
                "group": {"by": ["alertname", "job"], "window": "12h"},
                "severity": {"critical": "sev1", "warning": "sev3"},
            }
        )
        routes.append({"match": [f'job="{job}"'], "service": job, "severity": {"critical": "sev1", "warning": "sev3"}})
    return {
        "tocsin": 1,
        "team": "measured",
        "timezone": "UTC",
        "people": {"ana": person},
        "escalations": {"default": [{"page": "ana", "wait": "1h", "repeat": 3}]},
        "services": services,
        "routes": routes,
    }


def alertmanager_config() -> dict[str, Any]:
    """The same 100 routes as Alertmanager's own, to receivers that notify nobody."""
    routes: list[dict[str, Any]] = []
    for job in _jobs():
        routes.append(
            {
                "matchers": [f'job="{job}"', 'alertname="HighErrorRate"'],
                "receiver": job,
                "group_by": ["alertname", "job"],
            }
        )
        routes.append({"matchers": [f'job="{job}"'], "receiver": job, "group_by": ["alertname"]})
    return {
        "route": {"receiver": "nobody", "group_by": ["alertname"], "routes": routes},
        "receivers": [{"name": "nobody"}, *({"name": job} for job in _jobs())],
    }


def _jobs() -> list[str]:
    return [f"svc-{number:02d}" for number in range(SERVICES)]
