"""What FastAPI itself costs: the same shapes of request and answer, and nothing behind them."""

from fastapi import FastAPI, Response
from pydantic import BaseModel

app = FastAPI()


class Request(BaseModel):
    """A body like the API's."""

    url: str
    model: str | None = None


class Accepted(BaseModel):
    """An answer like the API's."""

    id: str
    status: str


@app.post("/transcriptions", status_code=202)
def create(body: Request) -> Accepted:
    """Keeps nothing."""
    return Accepted(id=body.url[-40:], status="queued")


@app.get("/transcriptions/{id}")
def read(id: str) -> Accepted:
    """Looks nowhere."""
    return Accepted(id=id, status="queued")


@app.get("/transcriptions/{id}/result")
def result(id: str) -> Response:
    """Two kilobytes."""
    return Response("x" * 2_048, media_type="text/plain")
