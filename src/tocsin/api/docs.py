"""The OpenAPI document at /api/openapi.json, and interactive docs at /api/docs from files that are served from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import swagger_ui_bundle
from litestar import Request, Response, get
from litestar.types import ControllerRouterHandler

from tocsin.faces.problem import MEDIA_TYPE, ProblemDocument, not_found

ABOUT = """\
Read and steer Tocsin from scripts. Send `Authorization: Bearer` with a token (`tocsin user token`).

Lists are pages: `{"items": […], "next": "…"}`; give `next` as `cursor` to get the following one, until it is null.
Refusals are problem documents (RFC 9457) whose `field` names what was wrong. Writes take an `Idempotency-Key`.
Instants are RFC 3339 in UTC, durations texts such as `5m`.
"""
PROBLEMS = {
    "400": "Something that was sent cannot be used; `field` names it.",
    "401": "No token, or one that is no good.",
    "403": "The token's user may not do this.",
    "404": "There is no such thing.",
    "409": "It is not possible as things stand.",
    "413": "The body is too large.",
    "429": "Too often; see Retry-After.",
    "503": "Not now; see Retry-After.",
}

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tocsin API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({
  url: "/api/docs/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout"
});
"""
_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_FOREVER = {"cache-control": "public, max-age=86400"}


def document(app: Any) -> dict[str, Any]:
    """The OpenAPI 3.1 document: what Litestar collected, with our way to refuse on every operation."""
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    (shape,), parts = msgspec.json.schema_components([ProblemDocument], ref_template="#/components/schemas/{name}")
    components = told.setdefault("components", {})
    components.setdefault("schemas", {}).update(parts)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    told["security"] = [{"token": []}]
    for path in told["paths"].values():
        for operation in path.values():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            for status, description in PROBLEMS.items():
                operation["responses"][status] = {
                    "description": description,
                    "content": {MEDIA_TYPE: {"schema": shape}},
                }
    return told


@get("/api/openapi.json", needs="anyone", media_type="application/json")
async def openapi_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The document."""
    made = getattr(request.app.state, "openapi_document", None)
    if made is None:
        made = request.app.state.openapi_document = msgspec.json.encode(document(request.app))
    return Response(made, media_type="application/json")


def as_3_0(shape: Any) -> Any:
    """The same document in the words of OpenAPI 3.0, for the pages of Swagger UI 4, which read nothing newer."""
    if isinstance(shape, list):
        return [as_3_0(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    made = {name: as_3_0(value) for name, value in shape.items()}
    if isinstance(made.get("openapi"), str):
        made["openapi"] = "3.0.3"
    for name in ("oneOf", "anyOf"):
        among = made.get(name)
        if isinstance(among, list) and {"type": "null"} in among:
            rest = [one for one in among if one != {"type": "null"}]
            del made[name]
            made |= {"nullable": True} | ({"allOf": rest} if len(rest) == 1 else {name: rest})
    if isinstance(made.get("type"), list):
        kinds = [kind for kind in made["type"] if kind != "null"]
        made |= {"type": kinds[0], "nullable": "null" in made["type"]}
    if "const" in made and "enum" not in made:
        made["enum"] = [made.pop("const")]
    return made


@get("/api/docs", needs="anyone", media_type="text/html")
async def docs_page() -> str:
    """The interactive docs."""
    return _PAGE


@get("/api/docs/{name:str}", needs="anyone")
async def docs_file(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
    """A file of the interactive docs."""
    if name == "openapi.json":
        return Response(msgspec.json.encode(as_3_0(document(request.app))), media_type="application/json")
    if name == "start.js":
        return Response(_START.encode(), media_type="text/javascript", headers=_FOREVER)
    kind = _FILES.get(name)
    if kind is None:
        raise not_found("such file")
    return Response(
        (Path(str(swagger_ui_bundle.swagger_ui_path)) / name).read_bytes(), media_type=kind, headers=_FOREVER
    )


HANDLERS: list[ControllerRouterHandler] = [openapi_document, docs_page, docs_file]
