"""`Client.channels` against a real server."""

import pytest

from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from tests.api.conftest import RUN_ID, World
from tests.support.channel_lists import page
from tests.ytcaption.client.conftest import Line
from ytcaption.client.client import Client
from ytcaption.client.errors import ApiError

URL = "https://www.youtube.com/channel/UC5NOEUbkLheQcaaRldYW5GA"


@pytest.mark.long
def test_the_life_of_a_channel(api: Client, world: World, line: Line) -> None:
    """Each method does what its route does; a lost response adds nothing twice."""
    line.lose_answers = 1
    channel = api.channels.add(
        URL, filters={"title_exclude": "Part 1$"}, max_items=20, language="de"
    )
    assert channel.name == channel.url and channel.options.language == "de"
    assert [each.id for each in api.channels.list()] == [channel.id]

    postgres = world.request_store.postgres
    ChannelRuns(postgres=postgres).claim(channel.id, RUN_ID)
    ChannelIntake(postgres=postgres).add_page(channel.id, RUN_ID, page(range(3)), is_history=True)
    ChannelRuns(postgres=postgres).complete(channel.id, RUN_ID)
    seen = api.channels.get(channel.id)
    assert (seen.items["queued"], seen.transcriptions["queued"], seen.progress.total) == (2, 2, 2)
    assert len(list(api.channels.items(channel.id))) == 3
    [item] = api.channels.items(channel.id, state=("filtered", "missing"))
    assert (item.title, item.reason, item.transcription) == ("Part 1", "title_excluded", None)
    taken = next(api.channels.items(channel.id, state="queued"))
    assert taken.transcription and api.get(taken.transcription.id).status == "queued"

    assert api.channels.pause(channel.id).paused
    assert api.channels.run(channel.id).next_listing_at is not None
    assert not api.channels.resume(channel.id).paused
    changed = api.channels.change(channel.id, filters={"newest": 5}, max_items=None)
    assert changed.filters["newest"] == 5 and changed.filters["title_exclude"] == "Part 1$"
    assert changed.max_items is None
    api.channels.remove(channel.id)
    with pytest.raises(ApiError) as refused:
        api.channels.get(channel.id)
    assert (refused.value.status, refused.value.code) == (404, "channel_not_found")


@pytest.mark.long
def test_a_channel_that_is_being_removed_can_be_added_later(api: Client, world: World) -> None:
    """The refusal is one that is worth another attempt; that there is no such channel is not."""
    channel = api.channels.add(URL)
    postgres = world.request_store.postgres
    ChannelRuns(postgres=postgres).claim(channel.id, RUN_ID)
    ChannelIntake(postgres=postgres).add_page(channel.id, RUN_ID, page(range(2)), is_history=True)
    ChannelRuns(postgres=postgres).complete(channel.id, RUN_ID)
    api.channels.remove(channel.id, with_transcriptions=True)
    with pytest.raises(ApiError) as refused:
        api.channels.add(URL)
    assert (refused.value.status, refused.value.code) == (409, "channel_busy")
    assert refused.value.retryable
    with pytest.raises(ApiError) as refused:
        api.channels.get(channel.id)
    assert refused.value.code == "channel_not_found" and not refused.value.retryable


def test_a_dry_run_that_is_refused(api: Client) -> None:
    """The server's code and detail are raised."""
    with pytest.raises(ApiError, match="a single video") as refused:
        api.channels.dry_run("https://youtu.be/dQw4w9WgXcQ")
    assert refused.value.code == "single_media"
