"""What a changed plan would change of who is on call, before it is in force."""

from __future__ import annotations

from litestar import post
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import IdempotencyKey
from tocsin.api.models.preview import LARGEST_PLAN
from tocsin.faces import previewing
from tocsin.faces.faces import Faces
from tocsin.faces.problem import invalid


@post("/plan/preview", status_code=200, tags=["plan"], request_max_body_size=LARGEST_PLAN)
async def preview_plan(
    faces: Faces, data: m.PreviewIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.PublishedPreview:
    """Say who would be on call differently in the next twelve weeks by a plan that is not in force.

    Without files the server's plan folder is asked about. Nothing is changed, and no code that is sent runs: what
    playbooks declare stays as it is in force unless the files tell it.
    """
    asked = data or m.PreviewIn()
    if asked.files is None:
        if asked.onto:
            raise invalid("onto", "goes with files")
        seen = await previewing.of_folder(faces)
    else:
        files = {name: text.encode("utf-8", "surrogatepass") for name, text in asked.files.items()}
        seen = await previewing.of_files(faces, files, onto=asked.onto)
    return m.preview_out(seen.preview, seen.unreached, seen.idle, seen.unread, seen.left_out)


HANDLERS: list[ControllerRouterHandler] = [preview_plan]
