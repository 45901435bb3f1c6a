"""An incident's page ledger as a file."""

from __future__ import annotations

from litestar import Response, get

from tocsin.faces.faces import Faces
from tocsin.faces.proof import ledger
from tocsin.pages.exported import as_csv


@get("/incidents/{number:int}/ledger.csv")
async def ledger_file(faces: Faces, number: int) -> Response[bytes]:
    """Every page of an incident: why, to whom, how, when, and what came of it."""
    rows = await faces.found(f"incident #{number}", ledger, faces.reads, number)
    name = f'attachment; filename="incident-{number}-ledger.csv"'
    return Response(as_csv(rows), media_type="text/csv; charset=utf-8", headers={"content-disposition": name})


handlers = [ledger_file]
