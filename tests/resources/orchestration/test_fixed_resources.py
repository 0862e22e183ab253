"""No run's configuration changes a resource: addresses, paths and networks come from settings."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from resources.orchestration.fixed_resources import fixed_resources
from ytcaption.settings.settings import Settings
from ytcaption_assets.definitions import build_definitions, installation_resources


def fields() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each resource's key with a configuration that sets one of its fields."""
    settings = Settings(workers=("http://127.0.0.1:1",))  # pyright: ignore[reportCallIssue]
    for key, resource in installation_resources(settings).items():
        yield from ((key, config) for config in settings_of(resource))
    yield "io_manager", {"base_dir": "/tmp"}


def settings_of(resource: dg.ConfigurableResource) -> Iterator[dict[str, Any]]:
    """Yield a configuration per field, of nested resources, too; each has today's value."""
    for name in type(resource).model_fields:
        value = getattr(resource, name)
        if isinstance(value, dg.ConfigurableResource):
            yield from ({name: inner} for inner in settings_of(value))
        else:
            yield {name: value}


FIELDS = list(fields())
JOBS = ("transcribe", "list_channel", "library", "maintenance", "__ASSET_JOB")


@pytest.fixture(scope="module")
def jobs() -> dict[str, dg.JobDefinition]:
    """The jobs of the code location, and Dagster's own for single assets."""
    repository = build_definitions(Settings(embeddings="off")).get_repository_def()
    return {job.name: job for job in repository.get_all_jobs()}


def test_the_fields_are_found() -> None:
    """Among them what the outside is reached by; so the tests below see them."""
    named = {f"{key}.{name}" for key, config in FIELDS for name in config}
    assert named >= {
        "object_store.url",
        "object_store.endpoint_url",
        "workspace.root",
        "downloader.allowed_networks",
        "channel_lister.allowed_networks",
        "transcriber.urls",
        "transcriber.socket_directory",
        "transcriber.local",
        "request_store.postgres",
    }


def test_the_jobs_are_known(jobs: dict[str, dg.JobDefinition]) -> None:
    """A new job is tested, too."""
    assert set(jobs) == set(JOBS)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("key", "config"), FIELDS, ids=[f"{key} {next(iter(config))}" for key, config in FIELDS]
)
def test_a_run_that_sets_a_field_is_refused(
    jobs: dict[str, dg.JobDefinition], job: str, key: str, config: dict[str, Any]
) -> None:
    """Even to the value that it has."""
    run_config = {"resources": {key: {"config": config}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="Received unexpected config entry"):
        dg.validate_run_config(jobs[job], run_config)


@pytest.mark.parametrize("job", JOBS)
def test_what_a_run_may_set_is_nothing(jobs: dict[str, dg.JobDefinition], job: str) -> None:
    """Of resources, loggers and the executor; a new field appears here."""
    parts = jobs[job].run_config_schema.run_config_schema_type.fields
    settable = {
        f"{part}.{name}": set(field.config_type.fields["config"].config_type.fields)
        for part in ("resources", "loggers")
        for name, field in parts[part].config_type.fields.items()
    }
    settable["execution"] = set(parts["execution"].config_type.fields["config"].config_type.fields)
    assert set().union(*settable.values()) == set(), settable


def test_runs_get_the_values_of_the_settings(settings: Settings) -> None:
    """Each field, of nested resources, too."""
    resources = installation_resources(settings)
    with dg.build_resources(fixed_resources(resources)) as made:
        for key, resource in resources.items():
            found = getattr(made, key)
            assert type(found) is type(resource)
            assert list(settings_of(found)) == list(settings_of(resource))


@pytest.mark.long
def test_a_run_with_a_configuration_of_its_own_does_nothing(
    jobs: dict[str, dg.JobDefinition], settings: Settings, tmp_path: Any
) -> None:
    """It fails before its first step."""
    elsewhere = tmp_path / "elsewhere"
    with dg.instance_for_test() as instance, pytest.raises(dg.DagsterInvalidConfigError):
        jobs["library"].execute_in_process(
            run_config={"resources": {"object_store": {"config": {"url": str(elsewhere)}}}},
            instance=instance,
        )
    assert not elsewhere.exists()
