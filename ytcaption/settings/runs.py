"""Runs: how many at once, how often, how long."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from ytcaption.settings.group import SettingsGroup


class RunSettings(SettingsGroup):
    """Slots, attempts and time limits of runs."""

    download_slots: int = Field(4, ge=1, description="Downloads at the same time.")
    downloads_per_site: int = Field(
        2, ge=1, description="Downloads at the same time from one site."
    )
    transcription_slots: int = Field(
        0,
        ge=0,
        description="Transcriptions at the same time. 0: 4 where workers transcribe, else 1.",
    )
    max_attempts: int = Field(
        4, ge=1, le=10, description="Attempts at a transcription, the first included."
    )
    transcription_timeout_s: int = Field(
        3600,
        gt=0,
        description="Longest time for decoding and transcribing in one attempt, in seconds.",
    )
    job_timeout_s: int = Field(
        3 * 3600,
        gt=0,
        description="Longest working time of a transcription over all its attempts, "
        "in seconds; waiting does not count.",
    )
    max_runtime_s: int = Field(
        12 * 3600,
        gt=0,
        description="Longest run as Dagster counts it, waiting for slots included, in seconds; "
        "after it the transcription is queued again.",
    )
    run_launcher: Literal["warm", "default"] = Field(
        "warm",
        description="How a run's process starts. `warm`: forked from a process that has imported "
        "the code (Linux; elsewhere `default`). `default`: a new interpreter, seconds later.",
    )

    @field_validator("job_timeout_s", "max_runtime_s")
    @classmethod
    def _check_order(cls, value: int, info: ValidationInfo) -> int:
        within = (
            "transcription_timeout_s" if info.field_name == "job_timeout_s" else "job_timeout_s"
        )
        least = info.data.get(within, value)
        if value < least:
            raise ValueError(f"{value} is less than YTCAPTION_{within.upper()}, which is {least}")
        return value
