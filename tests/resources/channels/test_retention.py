"""Channels' own retention, erased items, and deletion with transcriptions."""

from dataclasses import replace

import pytest

from resources.channels.due import due_channels
from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.maintenance.channel_checks import CHANNEL_CHECKS
from resources.maintenance.check import Installation, examine
from resources.transcriptions.reads import get_transcription
from tests.resources.maintenance.installation import House, clean_instance, dagster_home, house  # noqa: F401 - fixtures
from tests.resources.maintenance.test_erasure import BASE, MEDIA, SMALL
from tests.resources.maintenance.test_retention import applied
from tests.support.channel_lists import item, plan, source
from ytcaption.domain.channels.channel import ListingPage
from ytcaption.domain.errors import ChannelNotFound, TranscriptionErased
from ytcaption.domain.request import partition_key

SHOWN = replace(item(1), source=replace(MEDIA, title="Zebrafinktitel"))
ID = partition_key(MEDIA.media_id, BASE)
LOST, DELETED = CHANNEL_CHECKS


@pytest.fixture
def store(house: House) -> ChannelStore:
    return ChannelStore.from_settings(house.installation.settings, "admin")


def listed(house: House, store: ChannelStore, name: str = "one", **wanted) -> str:
    """Create a channel that lists the media, without a run."""
    wanted.setdefault("options", BASE)
    id = store.create(source(name), plan(**wanted), "local")[0].id
    list_again(house, id)
    return id


def list_again(house: House, id: str) -> None:
    runs = ChannelRuns(postgres=house.installation.postgres)
    runs.claim(id, "listing")
    intake = ChannelIntake(postgres=house.installation.postgres)
    intake.add_page(id, "listing", ListingPage(source(), (SHOWN,)))
    runs.complete(id, "listing")


def transcribed(house: House, requested_directly: bool = False) -> None:
    """Complete the transcription of the channel's item."""
    assert house.here.completed() == ID
    if not requested_directly:
        house.execute("delete from ytcaption.request where metadata = '{}'")


@pytest.mark.slow
def test_channel_has_its_own_retention(house: House, store: ChannelStore):
    """It may be shorter than the installation's, which then does not apply."""
    listed(house, store, keep_days=5.0)
    transcribed(house)
    house.age(ID, 6)
    assert applied(house, "transcript_old", transcript_days=1) == []
    house.execute("update ytcaption.channel set keep_days = 7")
    assert applied(house, "channel_transcript_old") == []
    house.execute("update ytcaption.channel set keep_days = 0")
    assert applied(house, "channel_transcript_old", transcript_days=1) == [], "0 is forever"
    house.execute("update ytcaption.channel set keep_days = 5")
    assert applied(house, "channel_transcript_old") == [ID]
    with pytest.raises(TranscriptionErased):
        get_transcription(house.here.store.postgres, ID)


@pytest.mark.slow
def test_longest_retention_decides(house: House, store: ChannelStore):
    """It may be that of another channel, or the installation's for a direct request."""
    listed(house, store, "one", keep_days=5.0)
    listed(house, store, "two", keep_days=20.0)
    transcribed(house)
    house.age(ID, 10)
    assert applied(house, "channel_transcript_old") == []
    house.age(ID, 11)
    house.here.queued()
    house.age(ID, 30)
    assert applied(house, "channel_transcript_old", transcript_days=0) == []
    assert applied(house, "channel_transcript_old", transcript_days=40) == []
    assert applied(house, "channel_transcript_old", transcript_days=25) == [ID]


@pytest.mark.long
def test_channel_without_retention_uses_the_installations(
    house: House,
    store: ChannelStore,
):
    """The installation's retention alone applies."""
    listed(house, store)
    transcribed(house)
    house.age(ID, 10)
    assert applied(house, "channel_transcript_old", transcript_days=5) == []
    assert applied(house, "transcript_old", transcript_days=5) == [ID]


@pytest.mark.slow
def test_erased_item_is_not_enqueued_again(house: House, store: ChannelStore):
    """Its title and link are removed, also where another channel excluded it; the id stays."""
    id = listed(house, store)
    other = listed(house, store, "other", filters={"title_exclude": "zebra"})
    waiting = listed(house, store, "waiting", max_items=1)
    house.execute(
        "update ytcaption.channel_item set state = 'new', transcription_id = null "
        "where channel_id = %(id)s",
        id=waiting,
    )
    transcribed(house)
    house.installation.erasure.erase(ID)
    list_again(house, id)
    for channel in (id, other):
        [item_row] = store.items(channel)
        assert (item_row.state, item_row.source.title, item_row.source.url) == (
            "erased",
            None,
            None,
        )
    assert house.here.rows("transcription") == 0
    [wanted] = store.items(waiting)
    assert wanted.state == "new", "this channel still wants it"


@pytest.mark.slow
def test_item_stays_for_another_transcription_of_its_media(
    house: House,
    store: ChannelStore,
):
    """Erasing one transcription does not affect the other's channel."""
    small = listed(house, store, "small", options=SMALL)
    listed(house, store)
    transcribed(house)
    house.installation.erasure.erase(ID)
    [found] = store.items(small)
    assert (found.state, found.source.title) == ("queued", "Zebrafinktitel")


@pytest.mark.long
def test_channel_is_deleted_with_its_transcriptions(house: House, store: ChannelStore):
    """In the background, and hidden meanwhile. Transcriptions that others requested stay."""
    id = listed(house, store)
    transcribed(house)
    house.here.store.submit(MEDIA, SMALL, owner="key:other")
    store.delete(id, with_transcriptions=True)
    with pytest.raises(ChannelNotFound):
        store.get(id)
    assert store.channels() == []
    assert due_channels(house.installation.postgres, 9) == []
    assert house.look(DELETED).found == (id,)
    assert house.repair(DELETED).is_wrong is False
    assert house.here.rows("channel") == house.here.rows("channel_item") == 0
    with pytest.raises(TranscriptionErased):
        get_transcription(house.here.store.postgres, ID)
    assert house.here.rows("transcription") == 1


@pytest.mark.long
def test_deletion_continues_where_it_ended(
    house: House,
    store: ChannelStore,
    monkeypatch: pytest.MonkeyPatch,
):
    """One check erases for a few seconds only."""
    id = listed(house, store)
    transcribed(house)
    store.delete(id, with_transcriptions=True)
    monkeypatch.setattr("resources.maintenance.channel_checks.WITHIN_S", -1.0)
    assert house.repair(DELETED).is_wrong
    assert house.here.rows("channel") == 1
    monkeypatch.undo()
    assert not house.repair(DELETED).is_wrong
    assert house.here.rows("channel") == 0


def test_lost_listing_is_found(house: House, store: ChannelStore):
    """`ytcaption doctor` reports it, and repairs it."""
    id = store.create(source(), plan())[0].id
    ChannelRuns(postgres=house.installation.postgres).claim(id, "no-such-run")
    assert not house.look(LOST).found
    house.execute("update ytcaption.channel set heartbeat_at = now() - interval '61 s'")
    assert house.look(LOST).found == (id,)
    assert store.get(id).run_id is not None
    house.repair(LOST)
    assert store.get(id).run_id is None
    installation: Installation = house.installation
    assert not examine(installation, LOST, repair=False).found
