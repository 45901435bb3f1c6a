"""Checklists of incidents, and what is said of their steps."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from tocsin.api.models.values import Moment
from tocsin.faces.checklists import OnIncident
from tocsin.kernel.instant import format_rfc3339


class PublishedCheck(Struct, frozen=True, kw_only=True):
    """One step. ``done_by`` and ``done_at`` are null until somebody ticks it.

    ``under``: the headings above it. ``detail``: what stands below it. ``playbook``: what its button runs, "" for none.
    ``gone``: it was ticked, and the plan has it no more.
    """

    id: str
    number: int
    text: str
    under: str
    detail: str
    playbook: str
    done_by: str | None
    done_at: Moment | None
    gone: bool


class PublishedChecklist(Struct, frozen=True, kw_only=True):
    """A checklist as it stands on an incident."""

    name: str
    title: str
    done: int
    steps: list[PublishedCheck]


class UntickIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a step is not done after all."""

    why: Annotated[str, Meta(min_length=1, max_length=300)]


def checklist_out(one: OnIncident) -> PublishedChecklist:
    """A checklist."""
    return PublishedChecklist(
        name=one.name,
        title=one.title,
        done=one.done,
        steps=[
            PublishedCheck(
                id=step.item.id,
                number=number,
                text=step.item.text,
                under=step.item.under,
                detail=step.item.detail,
                playbook=step.item.playbook,
                done_by=step.tick.by if step.tick else None,
                done_at=format_rfc3339(step.tick.at) if step.tick else None,
                gone=step.gone,
            )
            for number, step in enumerate(one.steps, 1)
        ],
    )
