"""The API: its address, who may use it and how much."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from ytcaption.settings.group import (
    SettingsGroup,
    check_networks,
    check_origins,
    split_list,
)


class ApiSettings(SettingsGroup):
    """Address, proxies, tokens, limits and quotas."""

    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(8000, ge=0, le=65535, description="Port of the API.")
    api_workers: int = Field(1, ge=1, le=64, description="Processes that serve the API.")
    public_url: str | None = Field(
        None,
        description="The API's address for others (`https://captions.example.org`): the beginning "
        "of links in webhooks. Unset: links are paths.",
    )
    cors_origins: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        (), description="Origins whose pages may call the API, comma-separated; never `*`."
    )
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        (),
        description="CIDRs of proxies whose `X-Forwarded-For` is trusted, comma-separated.",
    )
    jwt_secret: SecretStr | None = Field(
        None, description="HS256 secret of JWT bearer tokens, 32 characters or more."
    )
    jwt_jwks_url: str | None = Field(
        None, description="URL of the public keys (JWKS) of JWT bearer tokens."
    )
    jwt_issuer: str | None = Field(None, description="The required `iss` of a JWT.")
    jwt_audience: str | None = Field(None, description="The required `aud` of a JWT.")
    requests_per_minute: int = Field(
        600,
        gt=0,
        le=1_000_000,
        description="Requests a minute per key or address; a key may have its own limit.",
    )
    concurrent_transcriptions: int = Field(
        0, ge=0, description="Unfinished transcriptions per key. 0: no limit."
    )
    audio_minutes_per_day: int = Field(
        0, ge=0, description="Minutes of audio transcribed a day per key. 0: no limit."
    )
    streams_per_caller: int = Field(
        20, gt=0, description="Open event streams, long polls and uploads per key."
    )
    rate_limit_url: SecretStr | None = Field(
        None,
        description="Redis or Valkey in which replicas share rate limits "
        "(`redis://host:6379`). Unset: each process counts in its own memory.",
    )
    connections_per_address: int = Field(
        200,
        gt=0,
        le=100_000,
        description="Open connections per address in each API process and on Dagster's page. "
        "Proxies of `YTCAPTION_TRUSTED_PROXIES` may have any number.",
    )
    head_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Time in which the headers of a request must arrive."
    )
    idle_timeout_s: float = Field(
        5.0,
        gt=0,
        le=3_600,
        description="Time that a connection stays open between two requests. Behind a proxy that "
        "keeps connections: longer than the proxy keeps them.",
    )
    stall_timeout_s: float = Field(
        60.0,
        gt=0,
        le=3_600,
        description="Time after which a client that sends none of its body, or takes none of a "
        "response, is disconnected.",
    )
    max_upload_bytes: int = Field(2 * 1024**3, gt=0, description="Largest upload, in bytes.")

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_networks(value)

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_origins(value)

    @field_validator("public_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value):
            raise ValueError("write https://captions.example.org")
        return value and value.rstrip("/")
