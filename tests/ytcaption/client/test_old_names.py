"""Names of the previous release of the client: they work, with a `DeprecationWarning`."""

import importlib

import pytest

from tests.api.conftest import World
from ytcaption.client.channel_models import DryRun
from ytcaption.client.client import Client
from ytcaption.client.models import Retranscription, Transcription

LINK = "https://youtu.be/dQw4w9WgXcQ"
CHANNEL = "https://www.youtube.com/channel/UC5NOEUbkLheQcaaRldYW5GA"


@pytest.mark.long
def test_pin_was_keep(api: Client) -> None:
    """The old method, argument and attribute work and warn."""
    with pytest.warns(DeprecationWarning, match="keep is deprecated.*use pinned"):
        id = api.submit(LINK, keep=True).id
    status = api.get(id)
    assert status.pinned
    with pytest.warns(DeprecationWarning, match="use pinned") as warned:
        assert status.keep
    assert warned[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="keep is deprecated.*use pin") as warned:
        assert not api.keep(id, False).pinned
    assert warned[0].filename == __file__


def test_max_items_was_max_new(api: Client) -> None:
    """The old argument and attribute work and warn."""
    with pytest.warns(DeprecationWarning, match="use max_items") as warned:
        channel = api.channels.add(CHANNEL, max_new=3)
    assert warned[0].filename == __file__ and channel.max_items == 3
    with pytest.warns(DeprecationWarning, match="use max_items"):
        assert channel.max_new == 3
    with pytest.warns(DeprecationWarning, match="use max_items"):
        assert api.channels.change(channel.id, max_new=None).max_items is None


OLD_ATTRIBUTES = [
    (DryRun, {"taken": "included", "left_out": "excluded", "whole": "is_complete"}),
    (Retranscription, {"looked_at": "examined", "left_out": "excluded"}),
]
BODIES = {
    DryRun: {"url": CHANNEL, "taken": [], "left_out": [], "whole": True},
    Retranscription: {
        "looked_at": 3,
        "number": 2,
        "audio_s": 1.5,
        "ids": [],
        "joined": 0,
        "left_out": [{"reason": "are there already", "number": 1}],
    },
}


@pytest.mark.parametrize(("model", "renamed"), OLD_ATTRIBUTES)
def test_attributes(model: type, renamed: dict[str, str]) -> None:
    """They have the value of the new ones; responses of an older server are read, too."""
    value = model.model_validate(BODIES[model])
    for old, new in renamed.items():
        with pytest.warns(DeprecationWarning, match=f"{old} is deprecated.*use {new}"):
            assert getattr(value, old) == getattr(value, new)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("models", "Answer", "Model"),
        ("models", "Anew", "Retranscription"),
        ("models", "LeftOut", "Exclusion"),
        ("models", "Made", "Provenance"),
        ("options", "Asked", "RequestOptions"),
        ("options", "Wanted", "ListFilter"),
        ("options", "Sought", "SearchOptions"),
        ("client", "Asked", "RequestOptions"),
        ("channels", "ChannelAsked", "ChannelSettings"),
        ("search_models", "Found", "SearchResult"),
        ("search_models", "Spoken", "SpokenSegment"),
    ],
)
def test_classes(module: str, old: str, new: str) -> None:
    """The old names are the renamed classes."""
    loaded = importlib.import_module(f"ytcaption.client.{module}")
    with pytest.warns(DeprecationWarning, match=f"{old} is deprecated.*use {new}"):
        assert getattr(loaded, old) is getattr(loaded, new)
    with pytest.raises(AttributeError):
        getattr(loaded, "Nothing")  # noqa: B009 - the module decides


@pytest.mark.long
def test_the_client_itself_uses_no_old_name(
    api: Client, world: World, recwarn: pytest.WarningsRecorder
) -> None:
    """Nothing warns unless the caller uses one."""
    id = world.completed()
    assert isinstance(api.pin(id), Transcription)
    list(api.batch([{"url": LINK}]))
    list(api.versions(id.partition(".")[0]))
    list(api.retranscribe("model = 'base'", captions="never", dry_run=True))
    assert [each for each in recwarn if "ytcaption" in str(each.filename)] == []
