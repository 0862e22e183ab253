"""How long each kind of data is kept."""

from pydantic import Field

from ytcaption.settings.group import SettingsGroup


class RetentionSettings(SettingsGroup):
    """Ages in days. Pinned transcriptions are exempt."""

    audio_days: float = Field(
        90,
        ge=0,
        description="Days that audio is kept after its last request; it is downloaded again "
        "when needed. 0: for ever.",
    )
    upload_days: float = Field(
        0,
        ge=0,
        description="The same for uploaded files, which cannot be downloaded again. 0: for ever.",
    )
    transcript_days: float = Field(
        0,
        ge=0,
        description="Days after their last request at which transcriptions are erased. 0: never.",
    )
    partition_days: float = Field(
        30,
        ge=0,
        description="Days after which the partitions of finished transcriptions are removed from "
        "Dagster; their data stays. 0: never.",
    )
    run_days: float = Field(
        30, ge=0, description="Days that Dagster keeps runs, their events and logs. 0: for ever."
    )
    delivery_days: float = Field(
        30, gt=0, description="Days that settled webhook deliveries are kept."
    )
    report_days: float = Field(
        90, gt=0, description="Days that the library's nightly reports are kept."
    )
