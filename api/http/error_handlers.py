"""Installs `api.http.errors` on an app, for the framework's own errors, too."""

import http

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Mount

from api.http.errors import HTTP_CODES, HTTP_DETAILS, problem, ytcaption_problem
from api.http.invalid_request import validation_problem
from ytcaption.domain import errors


def install(app: FastAPI) -> None:
    """Install the error handlers on `app`; `api.http.middleware` handles unexpected errors."""

    async def on_ytcaption(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.YtcaptionError)
        return ytcaption_problem(error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _http_problem(request, error)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return validation_problem(request, error)

    app.add_exception_handler(errors.YtcaptionError, on_ytcaption)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)


def _http_problem(request: Request, error: HTTPException) -> Response:
    """Return the problem of what the framework refuses: no route, wrong method, no JSON."""
    status = error.status_code
    phrase = http.HTTPStatus(status).phrase
    headers = dict(error.headers or {})
    detail = HTTP_DETAILS.get(status) or str(error.detail)
    if status == 405:
        headers["Allow"] = _allowed_methods(request)
        detail = f"This address supports {headers['Allow']} only."
    code = HTTP_CODES.get(status, phrase.lower().replace(" ", "_"))
    return problem(status, code, detail, headers=headers)


def _allowed_methods(request: Request) -> str:
    """Return all methods of an address; the framework names those of its first route only."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    allowed = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ] or ["GET"]  # a static file
    if "GET" in allowed:
        allowed.insert(1, "HEAD")
    return ", ".join(allowed)
