"""Asset `channel_listing`, with the real lister, on a podcast on loopback."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import dagster as dg
import pytest

from resources.auth.api_keys import ApiKeys
from resources.channels.due import DUE_TAG, due_time
from resources.channels.intake import ChannelIntake
from resources.channels.listing.lister import ChannelLister
from resources.channels.rows import ChannelRow
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.orchestration.partitions import channel_partitions
from resources.postgres.connection import Postgres
from sensors.channel_freshness_check import channels_listed_in_time
from tests.resources.channels.listings import lister
from tests.support.channel_lists import plan
from tests.support.servers.channel_host import ChannelHost
from ytcaption.domain.caller import Limits
from ytcaption.settings.settings import Settings
from ytcaption_assets.assets.channel_listing import channel_listing


@pytest.fixture(scope="module")
def host() -> Iterator[ChannelHost]:
    with ChannelHost() as found:
        yield found


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    return ChannelStore.from_settings(settings, "admin")


def subscribe(store: ChannelStore, url: str, **wanted) -> ChannelRow:
    return store.create(lister().source_of(url), plan(**wanted))[0]


def materialize(
    instance: dg.DagsterInstance,
    postgres: Postgres,
    id: str,
    found_by: ChannelLister | None = None,
    **tags: str,
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions(cast(str, channel_partitions.name), [id])
    return dg.materialize(
        [channel_listing],
        partition_key=id,
        instance=instance,
        tags=tags,
        raise_on_error=False,
        resources={
            "channel_runs": ChannelRuns(postgres=postgres),
            "channel_intake": ChannelIntake(postgres=postgres),
            "channel_lister": found_by or lister(),
        },
    )


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = result.asset_materializations_for_node("channel_listing")
    return {name: value.value for name, value in event.metadata.items()}


@pytest.mark.long
def test_a_podcast_is_listed_and_its_items_requested(
    host: ChannelHost, store: ChannelStore, instance: dg.DagsterInstance, postgres: Postgres
):
    """The materialization counts the result; a second one finds nothing new."""
    id = subscribe(store, host.podcast("news", 4), filters={"newest": 3}).id
    first = metadata_of(materialize(instance, postgres, id))
    assert {name: first[name] for name in ("listed", "new", "queued", "excluded", "missing")} == {
        "listed": 4,
        "new": 4,
        "queued": 3,
        "excluded": 1,
        "missing": 0,
    }
    assert (first["left_out"], first["gone"]) == (1, 0)  # their names before 0.2
    assert first["progress"] == "0 of 3 transcribed (0%)"
    assert first["runs"] == f"tag:ytcaption/channel={id}"
    assert "not_newest" in cast(str, first["new_items"])
    second = metadata_of(materialize(instance, postgres, id))
    assert (second["listed"], second["new"], second["queued"]) == (0, 0, 0)
    host.podcast("news", 5)
    third = metadata_of(materialize(instance, postgres, id))
    assert (third["new"], third["queued"]) == (1, 1)
    host.podcast("news", 5, gone={3})
    fourth = metadata_of(materialize(instance, postgres, id))
    assert (fourth["new"], fourth["missing"]) == (0, 1)
    row = store.get(id)
    assert (row.failures, row.run_id, row.history_next) == (0, None, None)
    assert row.source.title is not None


@pytest.mark.slow
def test_items_held_back_by_a_quota_are_requested_soon(
    host: ChannelHost,
    store: ChannelStore,
    instance: dg.DagsterInstance,
    postgres: Postgres,
    settings: Settings,
):
    """And not a week later; items beyond the channel's own maximum wait for its schedule."""
    key = ApiKeys.from_settings(settings).create("a", ["write"], limits=Limits(None, 1)).row
    for name, max_items, longest_s in (("held", None, 600), ("full", 1, 7 * 86_400)):
        source = lister().source_of(host.podcast(name, 3))
        wanted = plan("7d", max_items=max_items)
        id = store.create(source, wanted, key.caller.owner if max_items is None else "local")[0].id
        assert metadata_of(materialize(instance, postgres, id))["queued"] == 1
        wait_s = (store.get(id).next_listing_at - datetime.now(UTC)).total_seconds()
        assert longest_s - 60 < wait_s <= longest_s, name


@pytest.mark.long
def test_metadata_hold_no_title(
    host: ChannelHost, store: ChannelStore, instance: dg.DagsterInstance, postgres: Postgres
):
    """Dagster keeps them, and an erasure does not reach them."""
    id = subscribe(store, host.podcast("secret", 2)).id
    shown = metadata_of(materialize(instance, postgres, id))
    titles = [each.source.title for each in store.items(id)]
    assert len(titles) == 2
    assert not [title for title in titles if title and title in str(shown)]


@pytest.mark.long
def test_a_failed_listing_is_recorded_and_repeated(
    host: ChannelHost, store: ChannelStore, instance: dg.DagsterInstance, postgres: Postgres
):
    """In the run, in its code, and on the channel."""
    id = subscribe(store, host.url("status/503/feeds/away.xml")).id
    result = materialize(instance, postgres, id)
    assert not result.success
    row = store.get(id)
    assert (row.failures, row.run_id) == (1, None)
    assert row.error_code is not None
    assert row.error_message
    failure = result.failure_data_for_node("channel_listing")
    assert failure is not None
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description == row.error_message


@pytest.mark.long
def test_a_run_for_a_past_due_time_lists_nothing(
    host: ChannelHost, store: ChannelStore, instance: dg.DagsterInstance, postgres: Postgres
):
    """Another has listed the channel by then."""
    channel = subscribe(store, host.podcast("twice", 1))
    tags = {DUE_TAG: due_time(channel.next_listing_at)}
    assert materialize(instance, postgres, channel.id, None, **tags).success
    request_count = len(host.requests)
    assert not materialize(instance, postgres, channel.id, None, **tags).success
    assert len(host.requests) == request_count
    assert store.get(channel.id).failures == 0


def test_the_check_can_be_made_by_hand(
    store: ChannelStore, instance: dg.DagsterInstance, postgres: Postgres, host: ChannelHost
):
    """It passes if all were listed in time, and lists those that were not."""
    id = subscribe(store, host.podcast("late", 1)).id
    for hours, passes in ((0, True), (2, False)):
        with postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.channel set next_listing_at = now() - make_interval(hours => %s)",
                (hours,),
            )
        result = dg.materialize(
            [channel_listing, channels_listed_in_time],
            instance=instance,
            selection=dg.AssetSelection.checks(channels_listed_in_time),
            resources={
                "channel_runs": ChannelRuns(postgres=postgres),
                "channel_intake": ChannelIntake(postgres=postgres),
                "channel_lister": lister(),
            },
        )
        [said] = result.get_asset_check_evaluations()
        assert said.passed is passes
        assert (id in str(said.metadata["channels"].value)) is not passes
