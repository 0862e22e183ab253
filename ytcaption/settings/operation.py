"""What operators see: logs, traces, alerts, the secret of webhooks."""

import re
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from ytcaption.settings.group import SettingsGroup, check_origins

_MIN_KEY_LENGTH = 32


class OperationSettings(SettingsGroup):
    """Logs, traces, alerts and ports of operation."""

    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto`: text on a terminal, JSON elsewhere."
    )
    otlp_endpoint: str | None = Field(
        None,
        description="Receiver of OpenTelemetry traces (OTLP over HTTP, `http://host:4318`). "
        "Unset: no traces.",
    )
    notify_urls: SecretStr | None = Field(
        None,
        description="Apprise URLs (`mailto://...`, `slack://...`), separated by spaces, for alerts "
        "that need an operator and for the digests of channels.",
    )
    webhook_key: SecretStr | None = Field(
        None,
        description="Encrypts the secrets of webhooks in the database: 32 bytes in URL-safe "
        "base64, the same on all machines; several, the newest first, to replace it. "
        "Unset: `webhook.key` under the home, created on first use.",
    )
    backup_key: SecretStr | None = Field(
        None,
        description="Signs backups, at least 32 characters: `restore` then refuses those that are "
        "not signed or were changed. Several, the newest first and separated by spaces, to "
        "replace it. Unset: backups are neither signed nor compared.",
    )
    standstill_s: int = Field(
        180,
        ge=30,
        description="A queue stands still if its oldest item that nothing holds back has waited "
        "this long, in seconds: `/readyz`, `status`, the metrics and an alert say so.",
    )
    pause_reminder_s: int = Field(
        24 * 3600,
        ge=60,
        description="Operators are reminded of a pause that is older than this, in seconds.",
    )
    webserver_port: int = Field(3000, ge=0, le=65535, description="Port of Dagster's page.")
    webserver_url: str | None = Field(
        None,
        description="Address of Dagster's page for others, behind a proxy with TLS "
        "(`https://dagster.example.org`, without a path). It then needs a key with the scope "
        "`admin`. Unset: the page answers on this machine only.",
    )
    webserver_read_only: bool = Field(
        True,
        description="Dagster's page shows everything and changes nothing. `false`: it can also "
        "start and end runs, and stop sensors.",
    )

    @field_validator("webserver_url")
    @classmethod
    def _check_origin(cls, value: str | None) -> str | None:
        if value is not None:
            value = value.rstrip("/")
            check_origins((value,))
        return value

    @field_validator("backup_key")
    @classmethod
    def _check_length(cls, value: SecretStr | None) -> SecretStr | None:
        keys = value.get_secret_value().split() if value is not None else []
        if any(len(key) < _MIN_KEY_LENGTH for key in keys):
            raise ValueError(
                f"write at least {_MIN_KEY_LENGTH} characters, such as those of "
                "`openssl rand -hex 32`"
            )
        return value if keys else None

    @field_validator("otlp_endpoint")
    @classmethod
    def _check_web_address(cls, value: str | None) -> str | None:
        if value and not re.match(r"https?://[^/\s]", value):
            raise ValueError("write http://host:4318")
        return value
