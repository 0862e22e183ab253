"""The OpenAPI document: what FastAPI derives, plus the schemas it cannot see."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from api.auth.authentication import is_public_path
from api.http.schemas import Problem
from api.responses import AUTH_ERRORS, CHANGE_ERRORS
from resources.http_server.origin import SAFE_METHODS
from ytcaption.domain.transcripts.transcript import Transcript

DESCRIPTION = """
Send a link; get captions and a transcript with the time of every word.

1. `POST /api/v1/transcriptions` with a `url`. The answer is 202 with an `id`. The same media item
   with the same options always has the same `id` and is transcribed once.
2. `GET /api/v1/transcriptions/{id}` until `status` is `completed` (or `failed`, with the reason).
   `Retry-After` says when to ask again.
3. `GET /api/v1/transcriptions/{id}/result?format=srt`, or `vtt`, `txt`, `json`, `tsv`, `ass`, `md`.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Fields and routes that are
marked deprecated still work and will be removed in the next release.
"""

TAGS = [
    {"name": "transcriptions", "description": "Request, follow, read and search transcriptions."},
    {"name": "analytics", "description": "Queries over all your transcriptions."},
    {"name": "channels", "description": "Subscribe to everything a channel or podcast publishes."},
    {"name": "webhooks", "description": "Receive events instead of polling."},
    {"name": "openai", "description": "For OpenAI's clients; set their `base_url` to `/v1` here."},
    {"name": "operation", "description": "For operators; every route needs the scope `admin`."},
    {"name": "health", "description": "Probes for load balancers and orchestrators."},
]

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`ytcaption keys create`), or a JWT where the installation "
        "accepts them. On loopback no key is needed until the first one is created.",
    }
}


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Make `app.openapi()` return the complete document, built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, routers)
        return app.openapi_schema

    app.openapi = openapi


def _document(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Captions and transcripts for every video, file and channel.",
        description=DESCRIPTION,
        routes=app.routes,
        webhooks=app.webhooks.routes,
        tags=TAGS,
    )
    template = "#/components/schemas/{model}"
    _, problems = models_json_schema([(Problem, "serialization")], ref_template=template)
    transcript = TypeAdapter(Transcript).json_schema(ref_template=template, mode="serialization")
    schemas = document["components"]["schemas"]
    schemas.update(problems["$defs"])
    schemas.update(transcript.pop("$defs"))
    schemas["Segment"]["required"].remove("words")  # absent with words=false
    schemas["Transcript"] = transcript
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                _complete(operation, route)
                if not is_public_path(route.path_format):
                    _require_key(operation, changes=method not in SAFE_METHODS)
    document["components"]["securitySchemes"] = SECURITY
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _require_key(operation: dict[str, Any], *, changes: bool) -> None:
    """Add the key and the errors of requests that are refused before routing."""
    operation["security"] = [{"bearer": []}, {}]  # no key on loopback until one is created
    for status, response in (AUTH_ERRORS | (CHANGE_ERRORS if changes else {})).items():
        operation["responses"].setdefault(str(status), response)


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    """Restore the nulls of examples, and remove FastAPI's own 422, which is never sent."""
    for status, response in route.responses.items():
        for media_type, content in response.get("content", {}).items():
            shown = {name: content[name] for name in ("example", "examples") if name in content}
            operation["responses"][str(status)]["content"][media_type].update(shown)
    if 422 not in route.responses:
        operation["responses"].pop("422", None)
