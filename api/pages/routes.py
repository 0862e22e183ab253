"""Serves the static web pages, and the API documentation at `/docs`."""

import importlib.util
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from api.http.middleware import PAGE_POLICY
from ytcaption.domain.errors import SetupError

FOLDER = Path(__file__).parent.parent / "static"

_DOCS_POLICY = f"{PAGE_POLICY}; img-src 'self' data:; style-src 'self' 'unsafe-inline'"
"""Swagger UI writes style elements and has its icons inside its style sheet."""

_REVALIDATE = {"Cache-Control": "no-cache"}


class _Files(StaticFiles):
    """Revalidated on each request and answered with 304, so that a new version shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or 304."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(_REVALIDATE)
        return response


def install(app: FastAPI) -> None:
    """Add the pages to `app`; none of them is in the OpenAPI document."""

    def read_page() -> FileResponse:
        return FileResponse(FOLDER / "index.html", headers=_REVALIDATE)

    def read_channels() -> FileResponse:
        return FileResponse(FOLDER / "channels.html", headers=_REVALIDATE)

    def read_documentation() -> FileResponse:
        headers = _REVALIDATE | {"Content-Security-Policy": _DOCS_POLICY}
        return FileResponse(FOLDER / "docs.html", headers=headers)

    app.add_api_route("/", read_page, include_in_schema=False)
    app.add_api_route("/channels", read_channels, include_in_schema=False)
    app.add_api_route("/docs", read_documentation, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=_swagger_ui()), name="docs-assets")
    app.mount("/pages", _Files(directory=FOLDER), name="pages")


def _swagger_ui() -> Path:
    """Return the folder of Swagger UI's files, which `fastapi-offline` ships: no CDN is needed."""
    spec = importlib.util.find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise SetupError("The package fastapi-offline is missing. Install ytcaption again.")
    return Path(spec.origin).with_name("static")
