"""The lake's views as the API shows them."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.analytics.examples import ANALYTICS_QUERY
from resources.lake.query import QueryResult
from resources.lake.query_output import json_rows
from resources.lake.views import Kind, LakeView

MAX_QUERY_LENGTH = 16_000
"""Of characters; a body may have 64 KiB."""


class ViewParameter(BaseModel):
    """What a view takes, as a query parameter."""

    name: str
    kind: Kind = Field(description="`date` is a day, such as 2026-11-24.")
    description: str
    default: str | int | float | None
    is_required: bool


class ViewColumnRead(BaseModel):
    """What a view gives."""

    name: str
    type: str = Field(description="DuckDB's name of it.")
    description: str
    unit: str | None


class ViewRead(BaseModel):
    """One view."""

    name: str
    summary: str
    parameters: list[ViewParameter]
    columns: list[ViewColumnRead]
    url: str

    @classmethod
    def of(cls, view: LakeView) -> Self:
        """As it is listed."""
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
                ViewColumnRead(
                    name=each.name, type=each.type, description=each.description, unit=each.unit
                )
                for each in view.columns
            ],
            url=f"/api/v1/analytics/{view.name}",
        )


class ViewsRead(BaseModel):
    """All of them."""

    views: list[ViewRead]


class QueryAsked(BaseModel):
    """A question in SQL."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [ANALYTICS_QUERY]})

    sql: str = Field(min_length=1, max_length=MAX_QUERY_LENGTH, description="One SELECT.")
    parameters: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, description="Values of `$name` in it."
    )


class ResultColumn(BaseModel):
    """A column of an answer."""

    name: str
    type: str


class RowsRead(BaseModel):
    """An answer."""

    view: str | None = Field(description="Its name; null for a query of your own.")
    columns: list[ResultColumn]
    rows: list[dict[str, Any]]
    is_truncated: bool = Field(description="There are more rows than `limit`.")

    @classmethod
    def of(cls, view: str | None, result: QueryResult) -> Self:
        """Times as ISO 8601, numbers that JSON has none of as null."""
        return cls(
            view=view,
            columns=[
                ResultColumn(name=name, type=type)
                for name, type in zip(result.columns, result.types, strict=True)
            ],
            rows=json_rows(result),
            is_truncated=result.is_truncated,
        )
