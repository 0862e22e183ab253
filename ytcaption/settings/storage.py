"""Where data is stored: Postgres, the lake's catalog, the object store."""

from pydantic import Field, SecretStr

from ytcaption.settings.group import SettingsGroup


class StorageSettings(SettingsGroup):
    """Databases and the object store."""

    database_url: SecretStr | None = Field(
        None,
        description="A Postgres server (`postgresql://user:password@host/database`). "
        "Unset: the embedded server, whose files are under the home.",
    )
    dagster_database_url: SecretStr | None = Field(
        None,
        description="Dagster's own database. Unset: the database `dagster` on the same server.",
    )
    lake_database_url: SecretStr | None = Field(
        None, description="The lake's catalog. Unset: the schema `lake` in the same database."
    )
    object_store_url: str = Field(
        "",
        description="Where audio, transcripts and lake files are kept: a folder, `file:///...` or "
        "`s3://bucket/prefix`. Unset: `objects` under the home. boto3 finds the credentials.",
    )
    s3_endpoint_url: str | None = Field(
        None, description="Endpoint of MinIO or another S3-compatible server."
    )
    s3_region: str = Field("us-east-1", description="The bucket's region.")
