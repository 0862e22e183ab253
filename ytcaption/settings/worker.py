"""Workers: processes that keep models loaded and transcribe for runs."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from ytcaption.settings.group import SettingsGroup, check_origins, split_list


class WorkerSettings(SettingsGroup):
    """Which workers runs use, and how a worker behaves."""

    worker: Literal["on", "off"] = Field(
        "on",
        description="`on`: a worker of this machine that keeps the models loaded transcribes for "
        "runs, and embeds, too; `ytcaption up` starts one per GPU, or one. `off`: each run loads "
        "its model.",
    )
    workers: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        (), description="Workers on other machines, comma-separated (`http://gpu-1:8100`)."
    )
    worker_token: SecretStr | None = Field(
        None,
        description="Shared secret between runs and workers on other machines, 32 characters or "
        "more; the same on both sides.",
    )
    worker_jobs: int = Field(
        8, ge=1, le=256, description="Recordings that a worker transcribes at once; others wait."
    )
    worker_idle_s: float = Field(
        600,
        ge=0,
        description="Idle seconds after which a worker unloads its models. 0: never.",
    )
    worker_timeout_s: float = Field(
        20,
        gt=1,
        description="Seconds without a message after which a run gives up on a worker and "
        "continues elsewhere.",
    )
    worker_drain_s: int = Field(
        20, ge=0, description="Seconds that a stopping worker may continue its current work."
    )

    @field_validator("workers")
    @classmethod
    def _check_workers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_origins(value)

    @field_validator("worker_token")
    @classmethod
    def _check_length(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("shorter than 32 characters")
        return value
