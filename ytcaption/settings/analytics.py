"""Analytics SQL."""

from pydantic import Field

from ytcaption.settings.group import SettingsGroup


class AnalyticsSettings(SettingsGroup):
    """Limits of analytics queries."""

    query_timeout_s: float = Field(10, gt=0, description="Longest analytics query, in seconds.")
    query_memory_bytes: int = Field(
        1024**3, gt=0, description="Memory limit of an analytics query's process."
    )
    query_rows: int = Field(10_000, gt=0, description="Most rows that an analytics query returns.")
    query_slots: int = Field(
        2, gt=0, description="Analytics queries that one API process runs at a time."
    )
