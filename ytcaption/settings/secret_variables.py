"""The environment variables that hold secrets, and environments without them.

A process's environment can be read by any process of the same user, and by an attacker in the
process itself, so each process gets only the secrets that it needs.
"""

from collections.abc import Collection, Mapping
from typing import get_args

from pydantic import SecretStr

from ytcaption.settings.settings import PREFIX, Settings

STORAGE_URL_VARIABLE = "YTCAPTION_DAGSTER_STORAGE_URL"
"""Dagster's database, with a password, as `dagster.yaml` reads it."""

DATABASES = frozenset(
    {
        "YTCAPTION_DATABASE_URL",
        "YTCAPTION_DAGSTER_DATABASE_URL",
        "YTCAPTION_LAKE_DATABASE_URL",
        STORAGE_URL_VARIABLE,
        "PGPASSWORD",
    }
)
OBJECT_STORE = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
"""Credentials that boto3 reads."""

MODELS = frozenset(
    {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "YTCAPTION_PIP_INDEX_URL", "PIP_INDEX_URL"}
)
"""Tokens and addresses, which may hold a password, of where weights are fetched."""

TRACES = frozenset({"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"})
"""Headers with the token of a collector of traces."""

SECRETS = (
    frozenset(
        f"{PREFIX}{name.upper()}"
        for name, field in Settings.fields()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    )
    | DATABASES
    | OBJECT_STORE
    | MODELS
    | TRACES
)
"""All variables that hold secrets: every setting of a secret type, and those of libraries."""


def only_secrets(environment: Mapping[str, str], needed: Collection[str]) -> dict[str, str]:
    """Return an environment in which the only secrets are the needed ones."""
    return {
        name: value for name, value in environment.items() if name not in SECRETS or name in needed
    }
