"""The style sheets, scripts and pictures: read once, named by their content, and kept by browsers for good."""

from __future__ import annotations

import gzip
from hashlib import blake2b
from importlib.resources import files
from typing import Any, NamedTuple

from litestar import Request, Response, get

from tocsin.faces.problem import not_found

KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "webmanifest": "application/manifest+json"}


class File(NamedTuple):
    """One file as it is served. ``name`` carries the hash: ``tocsin.1a2b3c4d5e.css``."""

    name: str
    kind: str
    body: bytes
    packed: bytes


def _load() -> dict[str, File]:
    found = {}
    for entry in sorted(files("tocsin.web").joinpath("static").iterdir(), key=lambda entry: entry.name):
        stem, _, ending = entry.name.rpartition(".")
        if ending not in KINDS:
            continue
        body = entry.read_bytes()
        name = f"{stem}.{blake2b(body, digest_size=5).hexdigest()}.{ending}"
        found[entry.name] = File(name, KINDS[ending], body, gzip.compress(body, 9, mtime=0))
    return found


FILES = _load()
_BY_NAME = {file.name: file for file in FILES.values()}


def address(name: str) -> str:
    """Where a browser finds ``tocsin.css``. Raises KeyError for a file that does not exist."""
    return f"/static/{FILES[name].name}"


@get("/static/{name:str}", needs="anyone", sync_to_thread=False)
def static_file(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    """A file by the name that carries its hash: what it holds never changes, so it may be kept for good."""
    file = _BY_NAME.get(name)
    if file is None:
        raise not_found("such file")
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
    packed = "gzip" in request.headers.get("accept-encoding", "")
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if packed else file.body, media_type=f"{file.kind}; charset=utf-8", headers=headers)


@get("/favicon.ico", needs="anyone", sync_to_thread=False)
def favicon() -> Response[bytes]:
    """For browsers that ask without being told where."""
    return Response(
        FILES["favicon.svg"].body, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"}
    )
