"""The style sheets, scripts and pictures: read once, named by their content, and kept by browsers for good."""

from __future__ import annotations

import gzip
from hashlib import blake2b
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response, get

from tocsin.faces.problem import not_found

KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml; charset=utf-8",
    "png": "image/png",
}


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
_AN_HOUR = {"cache-control": "public, max-age=3600"}
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
    return Response(file.packed if packed else file.body, media_type=file.kind, headers=headers)


@get("/manifest.webmanifest", needs="anyone", sync_to_thread=False)
def manifest() -> Response[bytes]:
    """What makes the pages an app that a telephone can install: its name, its pictures, where it opens."""
    pictures = [
        {"src": address("icon-192.png"), "sizes": "192x192", "type": "image/png"},
        {"src": address("icon-512.png"), "sizes": "512x512", "type": "image/png"},
        {"src": address("icon-maskable.png"), "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
    ]
    said = {
        "id": "/",
        "name": "Tocsin",
        "short_name": "Tocsin",
        "description": "Incidents, and whoever has them.",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f3f5f3",
        "theme_color": "#0b6661",
        "icons": pictures,
    }
    return Response(msgspec.json.encode(said), media_type="application/manifest+json", headers=_AN_HOUR)


@get("/worker.js", needs="anyone", sync_to_thread=False)
def worker() -> Response[bytes]:
    """The web app's worker. It lies at the top because a worker sees what is below it, and is asked for anew."""
    body = FILES["worker.js"].body
    for place, name in ((b"/static/ICON", "icon-192.png"), (b"/static/BADGE", "badge.png")):
        body = body.replace(place, address(name).encode())
    return Response(body, media_type=KINDS["js"], headers={"cache-control": "no-cache"})


@get("/favicon.ico", needs="anyone", sync_to_thread=False)
def favicon() -> Response[bytes]:
    """For browsers that ask without being told where."""
    return Response(
        FILES["favicon.svg"].body, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"}
    )
