"""Retranscription on a real database."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from resources.retranscribe import service as retranscription
from resources.retranscribe.plan import (
    EXISTS,
    SAME_OPTIONS,
    SHARED,
    UPLOAD_MISSING,
    RetranscriptionResult,
    parse_retranscription,
)
from resources.retranscribe.service import enqueue_retranscriptions
from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import AUDIO, INFO, make_transcript
from ytcaption.domain.caller import Limits
from ytcaption.domain.errors import InvalidOption, UnknownLanguage, UnknownModel
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus, partition_key

MODELS = ("base", "small", "tiny.en")
BASE = TranscriptionOptions("base")
ANNA, BERT = "key:anna", "key:bert"


def completed(
    store: RequestStore,
    media: str = "youtube-one",
    options: TranscriptionOptions = BASE,
    *owners: str,
    kind: Any = "site",
) -> str:
    """Return the id of a transcription of audio, requested by these owners."""
    source = MediaSource(media, kind, f"https://youtu.be/{media}", "Youtube", "A title")
    for owner in owners or (ANNA,):
        id = store.submit(source, options, owner=owner).transcription.id
    run_id = f"run-{id}"
    RunStore(postgres=store.postgres).claim(id, run_id)
    RunStore(postgres=store.postgres).audio_stored(id, run_id, INFO, AUDIO)
    transcript = make_transcript(id, ("Some words.",))
    RunStore(postgres=store.postgres).transcript_stored(
        id, run_id, transcript, f"transcripts/{id}.json", "ef" * 32
    )
    RunStore(postgres=store.postgres).complete(id, run_id)
    return id


def retranscribe_all(
    store: RequestStore, where: str | None, dry_run: bool = False, **wanted: Any
) -> RetranscriptionResult:
    request = parse_retranscription(MODELS, where, **wanted)
    return enqueue_retranscriptions(store.postgres, MODELS, request, dry_run=dry_run)


def small(media: str) -> str:
    return partition_key(media, TranscriptionOptions("small"))


def everything(store: RequestStore) -> list[tuple]:
    return [
        (row["id"], row["owner"])
        for row in store.postgres.rows(
            "select transcription_id as id, owner from ytcaption.request order by 1, 2", {}
        )
    ]


def test_matching_ones_are_requested_once_at_bulk_priority(request_store: RequestStore):
    """For each owner of the earlier version; repeating adds nothing; a dry run adds nothing and
    returns the same."""
    completed(request_store, "youtube-one", BASE, ANNA, BERT)
    completed(request_store, "youtube-two")
    completed(request_store, "youtube-three", TranscriptionOptions("base", language="de"))
    before = everything(request_store)
    where = "model = 'base' and created_at > '2026-01-01'"
    preview = retranscribe_all(request_store, where, dry_run=True, model="small", limit=None)
    assert everything(request_store) == before
    result = retranscribe_all(request_store, where, model="small")
    assert (result.number, result.examined, result.excluded) == (3, 3, {})
    assert (preview.number, preview.ids, preview.groups) == (
        result.number,
        result.ids,
        result.groups,
    )
    assert result.audio_s == pytest.approx(3 * make_transcript("x.y").duration_s)
    row = get_transcription(request_store.postgres, small("youtube-one"))
    assert (row.status, row.priority) == (TranscriptionStatus.QUEUED, "bulk")
    added = [each for each in everything(request_store) if each not in before]
    assert {owner for id, owner in added if id == small("youtube-one")} == {ANNA, BERT}
    assert len(added) == 4
    again = retranscribe_all(request_store, where, model="small")
    assert (again.number, again.joined, again.excluded) == (0, 0, {EXISTS: 3})
    assert len(everything(request_store)) == len(before) + 4


def test_options_that_are_not_named_stay(request_store: RequestStore):
    """Language, hints and policy; versions with the same options, and impossible ones, are
    excluded."""
    options = TranscriptionOptions("base", "de", hotwords="Haus", captions="never")
    completed(request_store, "youtube-one", options)
    completed(request_store, "youtube-two", TranscriptionOptions("small"))
    result = retranscribe_all(request_store, "changed or not changed", model="small")
    assert result.excluded == {SAME_OPTIONS: 1}
    assert get_transcription(request_store.postgres, result.ids[0]).options == TranscriptionOptions(
        "small", "de", hotwords="Haus", captions="never"
    )
    english = retranscribe_all(
        request_store, "language = 'de' or model = 'nothing'", model="tiny.en"
    )
    assert english.number == 0
    named = retranscribe_all(request_store, "model = 'base'", language="fr", captions="prefer")
    assert get_transcription(request_store.postgres, named.ids[0]).options.to_dict() == {
        "model": "base", "language": "fr", "task": "transcribe", "hotwords": "Haus",
    }  # fmt: skip


def test_an_interrupted_call_continues_and_a_limit_holds(
    request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
):
    """Batch by batch, each complete; those beyond the limit come with the next call."""
    monkeypatch.setattr(retranscription, "BATCH", 3)
    for number in range(10):
        completed(request_store, f"youtube-{number}")
    wanted = parse_retranscription(MODELS, "model = 'base'", model="small")

    def killed(found: RetranscriptionResult) -> None:
        if found.number >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enqueue_retranscriptions(
            request_store.postgres, MODELS, wanted, dry_run=False, on_batch=killed
        )
    assert len(everything(request_store)) == 13
    limited = retranscribe_all(request_store, "model = 'base'", model="small", limit=4)
    assert (limited.number, limited.excluded[EXISTS]) == (4, 3)
    rest = enqueue_retranscriptions(
        request_store.postgres, MODELS, wanted, dry_run=False, after=limited.after or ""
    )
    assert (rest.number, rest.after) == (3, None)
    assert len(everything(request_store)) == 20


def test_two_versions_with_one_target_make_one(request_store: RequestStore):
    """The owner of the second version shares it."""
    completed(request_store, "youtube-one", BASE, ANNA)
    completed(request_store, "youtube-one", TranscriptionOptions("base", language="en"), BERT)
    both = retranscribe_all(request_store, "model = 'base'", model="small", language="en")
    assert (both.number, both.joined) == (1, 1)
    [id] = both.ids
    assert [owner for each, owner in everything(request_store) if each == id] == [ANNA, BERT]


def test_an_owner_retranscribes_their_own_only(request_store: RequestStore):
    """Neither other owners' transcriptions nor their channels are visible, and limits hold."""
    for media, owner in (("youtube-one", ANNA), ("youtube-two", BERT), ("youtube-three", ANNA)):
        completed(request_store, media, BASE, owner)
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.channel "
            "(id, owner, source_id, kind, url, site, options, schedule) "
            "values ('c', %s, 's', 'site', 'https://x', 'x', '{}', '{}')",
            (BERT,),
        )
        connection.execute(
            "insert into ytcaption.channel_item (channel_id, media_id, kind, url, state, place) "
            "select 'c', id, 'site', 'https://x', 'new', 1 from ytcaption.media"
        )
    for_anna = {"model": "small", "owner": ANNA}
    assert retranscribe_all(request_store, "channel = 'c'", dry_run=True, **for_anna).examined == 0
    everybody = retranscribe_all(request_store, "channel in ('c')", dry_run=True, model="small")
    assert everybody.examined == 3
    limited = retranscribe_all(
        request_store, "model = 'base'", **for_anna, limits=Limits(concurrent_transcriptions=1)
    )
    assert (limited.number, limited.excluded.total()) == (1, 1)
    assert "This key may have" in next(iter(limited.excluded))
    assert small("youtube-two") not in {id for id, _ in everything(request_store)}


def test_a_changed_source_is_downloaded_and_transcribed_again(request_store: RequestStore):
    """The same options are the same id: its text is made again, once; the old audio is
    discarded."""
    id, other = completed(request_store), completed(request_store, "youtube-two")
    assert retranscribe_all(request_store, None, changed=True).examined == 0
    changed_item(request_store, "youtube-one")
    preview = retranscribe_all(request_store, None, dry_run=True, changed=True)
    assert (
        preview.ids == [id]
        and get_transcription(request_store.postgres, id).status is TranscriptionStatus.COMPLETED
    )
    result = retranscribe_all(request_store, "changed and language = 'en'")
    assert result.ids == [id]
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.QUEUED
    assert get_media(request_store.postgres, "youtube-one").audio is None
    assert get_media(request_store.postgres, "youtube-two").audio is not None
    assert get_transcription(request_store.postgres, other).status is TranscriptionStatus.COMPLETED
    assert retranscribe_all(request_store, None, changed=True).number == 0


def test_a_changed_shared_one_is_replaced_by_an_operator_only(request_store: RequestStore):
    """It would delete the other owners' result; another version deletes nothing."""
    completed(request_store, "youtube-one", BASE, ANNA, BERT)
    changed_item(request_store, "youtube-one")
    assert retranscribe_all(request_store, None, changed=True, owner=ANNA).excluded == {SHARED: 1}
    assert (
        retranscribe_all(request_store, None, changed=True, owner=ANNA, model="small").number == 1
    )
    assert get_media(request_store.postgres, "youtube-one").audio is None
    assert retranscribe_all(request_store, None, changed=True).number == 1


def test_other_audio_at_the_next_download_is_a_change(
    request_store: RequestStore, run_store: RunStore
):
    """For a file by its bytes; for a site, which may encode files again, by the duration."""
    for media, kind in (("url-one", "direct"), ("youtube-one", "site")):
        before = completed(request_store, media, kind=kind)
        for name, audio, is_changed in (
            ("same", AUDIO, False),
            ("bytes", replace(AUDIO, sha256="12" * 32), kind == "direct"),
            ("length", replace(AUDIO, sha256="cd" * 32, duration_s=500.0), True),
        ):
            source = MediaSource(media, kind, f"https://youtu.be/{media}", "Youtube")
            options = TranscriptionOptions("base", hotwords=name)
            id = request_store.submit(source, options, owner=ANNA).transcription.id
            run_store.claim(id, name + media)
            run_store.audio_stored(id, name + media, INFO, audio)
            found = retranscribe_all(
                request_store, f"changed and media_id = '{media}'", dry_run=True
            )
            assert (found.ids == [before]) is is_changed, (media, name)
        [row] = request_store.postgres.rows(
            "select change from ytcaption.media where id = %(id)s", {"id": media}
        )
        assert "now 500.0 s" in row["change"]


def test_an_upload_without_its_file_is_excluded(request_store: RequestStore):
    """It cannot be downloaded again."""
    completed(request_store, "upload-one", kind="upload")
    assert (
        retranscribe_all(request_store, "model = 'base'", dry_run=True, model="small").number == 1
    )
    with request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.media set audio_key = null")
    assert retranscribe_all(request_store, "model = 'base'", model="small").excluded == {
        UPLOAD_MISSING: 1
    }


def test_completed_ones_unless_the_status_is_named(request_store: RequestStore):
    """Failed ones have their own retry."""
    source = MediaSource("youtube-one", "site", "https://youtu.be/one", "Youtube")
    request_store.submit(source, BASE)
    assert (
        retranscribe_all(
            request_store, "media_id like 'youtube%'", dry_run=True, model="small"
        ).number
        == 0
    )
    named = "status in ('queued', 'failed') and media_id is not null and completed_at is null"
    assert retranscribe_all(request_store, named, dry_run=True, model="small").number == 1


def test_by_time(request_store: RequestStore):
    """Times without a zone are read as UTC."""
    completed(request_store)
    now = datetime.now(UTC).isoformat()
    assert (
        retranscribe_all(
            request_store, f"completed_at < '{now}'", dry_run=True, model="small"
        ).number
        == 1
    )
    assert (
        retranscribe_all(
            request_store, f"completed_at > '{now}'", dry_run=True, model="small"
        ).number
        == 0
    )


@pytest.mark.parametrize(
    ("where", "options", "kind"),
    [
        (None, {"model": "small"}, InvalidOption),
        (" ", {"model": "small"}, InvalidOption),
        ("model = 'base'", {}, InvalidOption),
        ("model = 'base'", {"model": "huge"}, UnknownModel),
        ("model = 'base'", {"language": "xx"}, UnknownLanguage),
        ("model = 'base'", {"captions": "often"}, InvalidOption),
        ("model = 'base' or", {"model": "small"}, InvalidOption),
    ],
)
def test_impossible_options_are_refused_at_once(where: str | None, options: dict, kind: type):
    """Before any transcription is examined."""
    with pytest.raises(kind):
        parse_retranscription(MODELS, where, **options)


def changed_item(store: RequestStore, media: str) -> None:
    """Record that a channel's listing has found other audio."""
    with store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.channel "
            "(id, owner, source_id, kind, url, site, options, schedule) "
            "values ('c', 'local', 's', 'site', 'https://x', 'x', '{}', '{}') "
            "on conflict do nothing"
        )
        connection.execute(
            "insert into ytcaption.channel_item "
            "(channel_id, media_id, kind, url, state, place, changed_at, change) "
            "values ('c', %s, 'site', 'https://x', 'queued', 1, now(), 'It is another length.')",
            (media,),
        )
