"""Bodies of requests and responses about the lake's views and queries."""

from collections.abc import Iterator
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from resources.lake.query import QueryResult
from resources.lake.query_output import json_parts
from resources.lake.views import Kind, LakeView

MAX_QUERY_LENGTH = 16_000
"""In characters; a body may have 64 KiB."""

_QUERY_EXAMPLE = {
    "sql": "select language, count(*) as media from library where month >= $since::date group by 1",
    "parameters": {"since": "2026-01-01"},
}


class ViewParameter(BaseModel):
    """A parameter of a view, sent as a query parameter."""

    name: str
    kind: Kind = Field(description="`date` is a day, such as 2026-11-24.")
    description: str
    default: str | int | float | None
    is_required: bool


class ViewColumn(BaseModel):
    """A column of a view."""

    name: str
    type: str = Field(description="DuckDB's name of the type.")
    description: str
    unit: str | None


class View(BaseModel):
    """A view of the lake."""

    name: str
    summary: str
    parameters: list[ViewParameter]
    columns: list[ViewColumn]
    url: str

    @classmethod
    def of(cls, view: LakeView) -> Self:
        """Return the schema of a view."""
        return cls(
            name=view.name,
            summary=view.summary,
            parameters=[
                ViewParameter(
                    name=each.name,
                    kind=each.kind,
                    description=each.description,
                    default=each.default,
                    is_required=each.is_required,
                )
                for each in view.parameters
            ],
            columns=[
                ViewColumn(
                    name=each.name, type=each.type, description=each.description, unit=each.unit
                )
                for each in view.columns
            ],
            url=f"/api/v1/analytics/{view.name}",
        )


class ViewsResponse(BaseModel):
    """All views."""

    views: list[View]


class QueryRequest(BaseModel):
    """A query in SQL."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_QUERY_EXAMPLE]})

    sql: str = Field(min_length=1, max_length=MAX_QUERY_LENGTH, description="One SELECT.")
    parameters: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="Values of the query's `$name` parameters."
    )


class ResultColumn(BaseModel):
    """A column of a result."""

    name: str
    type: str


class RowsResponse(BaseModel):
    """The rows of a view or a query."""

    view: str | None = Field(description="Name of the view; null for a query.")
    columns: list[ResultColumn]
    rows: list[dict[str, Any]]
    is_truncated: bool = Field(description="There are more rows than `limit`.")

    @classmethod
    def encoded_parts(cls, view: str | None, result: QueryResult) -> Iterator[bytes]:
        """Yield the JSON of a result, some rows at a time: numbers unknown to JSON are null."""
        columns = [
            ResultColumn(name=name, type=type)
            for name, type in zip(result.columns, result.types, strict=True)
        ]
        head = cls(view=view, columns=columns, rows=[], is_truncated=result.is_truncated)
        yield head.model_dump_json(exclude={"rows"}).removesuffix("}").encode() + b',"rows":'
        yield from json_parts(result)
        yield b"}"
