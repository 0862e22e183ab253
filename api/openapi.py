"""The OpenAPI document: what FastAPI derives, and the schemas that are sent without its help."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from api.auth.identity import is_open_path
from api.http.schemas import Problem
from api.responses import AUTH_ERRORS
from ytcaption.domain.transcripts.transcript import Transcript

DESCRIPTION = """
Give it a link; it gives back captions and a transcript with the time of every word.

1. `POST /api/v1/transcriptions` with a `url`. The answer is 202 with an `id`; the same media with
   the same options has the same `id`, always, and is transcribed once.
2. `GET /api/v1/transcriptions/{id}` until `status` is `completed` (or `failed`, with the reason).
   `Retry-After` says when to look again.
3. `GET /api/v1/transcriptions/{id}/result?format=srt`, or `vtt`, `txt`, `json`, `tsv`, `ass`, `md`.

Errors are `application/problem+json` (RFC 9457) with a stable `code`.
"""

TAGS = [
    {"name": "transcriptions", "description": "Ask, watch, read."},
    {"name": "analytics", "description": "Questions to the library as a whole."},
    {"name": "channels", "description": "Subscribe to all that a channel or podcast publishes."},
    {"name": "webhooks", "description": "Be told, instead of asking again and again."},
    {"name": "openai", "description": "For OpenAI's clients; set their `base_url` to `/v1` here."},
    {"name": "operation", "description": "For operators: everything here needs the scope `admin`."},
    {"name": "health", "description": "For whoever runs it."},
]

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`ytcaption keys create`), or a JWT where the installation "
        "takes them. On loopback nothing is asked for as long as no keys exist.",
    }
}


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Makes `app.openapi()` give the whole document, built once."""

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
    schemas["Segment"]["required"].remove("words")  # left out by words=false
    schemas["Transcript"] = transcript
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                _finish(operation, route)
                if not is_open_path(route.path_format):
                    _guard(operation)
    document["components"]["securitySchemes"] = SECURITY
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _guard(operation: dict[str, Any]) -> None:
    """Says that it needs a key, and what is answered without one."""
    operation["security"] = [{"bearer": []}, {}]  # none on loopback, as long as no keys exist
    for status, response in AUTH_ERRORS.items():
        operation["responses"].setdefault(str(status), response)


def _finish(operation: dict[str, Any], route: APIRoute) -> None:
    """Gives examples their nulls back, and takes away FastAPI's own 422, which is never sent."""
    for status, response in route.responses.items():
        for media_type, content in response.get("content", {}).items():
            shown = {name: content[name] for name in ("example", "examples") if name in content}
            operation["responses"][str(status)]["content"][media_type].update(shown)
    if 422 not in route.responses:
        operation["responses"].pop("422", None)
