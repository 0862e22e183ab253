"""What channels keep: transcripts by their own age, items of what was erased, after deletion."""

from dataclasses import replace

import pytest

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
    """A channel that lists the media, and holds still."""
    wanted.setdefault("options", BASE)
    id = store.create(source(name), plan(**wanted), "local")[0].id
    list_again(house, id)
    return id


def list_again(house: House, id: str) -> None:
    runs = ChannelRuns(postgres=house.installation.postgres)
    runs.claim(id, "listing")
    intake = ChannelIntake(postgres=house.installation.postgres)
    intake.take_page(id, "listing", ListingPage(source(), (SHOWN,)))
    runs.listed(id, "listing")


def made(house: House, by_hand: bool = False) -> None:
    """The channel's item is transcribed."""
    assert house.here.completed() == ID
    if not by_hand:
        house.execute("delete from ytcaption.request where metadata = '{}'")


def test_a_channel_keeps_by_its_own_age(house: House, store: ChannelStore):
    """Shorter than the installation, which does not meddle."""
    listed(house, store, keep_days=5.0)
    made(house)
    house.age(ID, 6)
    assert applied(house, "transcript_old", transcript_days=1) == []
    house.execute("update ytcaption.channel set keep_days = 7")
    assert applied(house, "channel_transcript_old") == []
    house.execute("update ytcaption.channel set keep_days = 0")
    assert applied(house, "channel_transcript_old", transcript_days=1) == [], "0 is for ever"
    house.execute("update ytcaption.channel set keep_days = 5")
    assert applied(house, "channel_transcript_old") == [ID]
    with pytest.raises(TranscriptionErased):
        get_transcription(house.here.store.postgres, ID)


def test_who_wants_it_longest_decides(house: House, store: ChannelStore):
    """Another channel, or somebody who asked by hand and keeps to the installation's age."""
    listed(house, store, "one", keep_days=5.0)
    listed(house, store, "two", keep_days=20.0)
    made(house)
    house.age(ID, 10)
    assert applied(house, "channel_transcript_old") == []
    house.age(ID, 11)
    house.here.queued()
    house.age(ID, 30)
    assert applied(house, "channel_transcript_old", transcript_days=0) == []
    assert applied(house, "channel_transcript_old", transcript_days=40) == []
    assert applied(house, "channel_transcript_old", transcript_days=25) == [ID]


def test_a_channel_that_does_not_say_keeps_as_the_installation(
    house: House,
    store: ChannelStore,
):
    """By its age alone."""
    listed(house, store)
    made(house)
    house.age(ID, 10)
    assert applied(house, "channel_transcript_old", transcript_days=5) == []
    assert applied(house, "transcript_old", transcript_days=5) == [ID]


def test_what_was_erased_is_not_taken_again(house: House, store: ChannelStore):
    """Its title and link are gone, also where another channel has left it out; the id stays."""
    id = listed(house, store)
    other = listed(house, store, "other", filters={"title_exclude": "zebra"})
    waits = listed(house, store, "waits", max_new=1)
    house.execute(
        "update ytcaption.channel_item set state = 'new', transcription_id = null "
        "where channel_id = %(id)s",
        id=waits,
    )
    made(house)
    house.installation.erasure.erase(ID)
    list_again(house, id)
    for channel in (id, other):
        [found] = store.items(channel)
        assert (found.state, found.source.title, found.source.url) == ("erased", None, None)
    assert house.here.rows("transcription") == 0
    [wanted] = store.items(waits)
    assert wanted.state == "new", "somebody waits for that one"


def test_an_item_stays_for_another_transcription_of_the_media(
    house: House,
    store: ChannelStore,
):
    """Erasing one of two says nothing of the other's channel."""
    small = listed(house, store, "small", options=SMALL)
    listed(house, store)
    made(house)
    house.installation.erasure.erase(ID)
    [found] = store.items(small)
    assert (found.state, found.source.title) == ("queued", "Zebrafinktitel")


def test_a_channel_goes_with_its_transcriptions(house: House, store: ChannelStore):
    """In the background; nobody sees it meanwhile. What others have asked for stays for them."""
    id = listed(house, store)
    made(house)
    house.here.store.submit(MEDIA, SMALL, owner="key:other")
    store.delete(id, with_transcriptions=True)
    with pytest.raises(ChannelNotFound):
        store.get(id)
    assert store.channels() == []
    assert ChannelRuns(postgres=house.installation.postgres).due(9) == []
    assert house.look(DELETED).found == (id,)
    assert house.repair(DELETED).is_wrong is False
    assert house.here.rows("channel") == house.here.rows("channel_item") == 0
    with pytest.raises(TranscriptionErased):
        get_transcription(house.here.store.postgres, ID)
    assert house.here.rows("transcription") == 1


def test_a_deletion_goes_on_where_it_ended(
    house: House,
    store: ChannelStore,
    monkeypatch: pytest.MonkeyPatch,
):
    """One look erases for some seconds."""
    id = listed(house, store)
    made(house)
    store.delete(id, with_transcriptions=True)
    monkeypatch.setattr("resources.maintenance.channel_checks.WITHIN_S", -1.0)
    assert house.repair(DELETED).is_wrong
    assert house.here.rows("channel") == 1
    monkeypatch.undo()
    assert not house.repair(DELETED).is_wrong
    assert house.here.rows("channel") == 0


def test_a_lost_listing_is_found(house: House, store: ChannelStore):
    """`ytcaption doctor` says so, and frees the channel."""
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
