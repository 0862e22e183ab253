"""Schemas."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"
    version: str


class DependencyRead(BaseModel):
    """One part the API stands on."""

    ready: bool
    took_ms: float
    cause: Annotated[str | None, Field(description="Why it is not ready, in words.")]
    required: Annotated[bool, Field(description="Whether nothing works without it.")]


class Ready(BaseModel):
    """Whether work can be done, part by part."""

    ready: bool
    dependencies: dict[str, DependencyRead]
