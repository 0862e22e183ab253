"""An installation in which everything happens that can happen to a transcription."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from resources.admin.service import RetryFilter, retry_all
from resources.maintenance.erasure import Erasure
from resources.sites.circuit_breaker import close_breaker, open_breaker
from resources.transcriptions.actions import TranscriptionActions
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import Callback, TranscriptionRequest
from resources.transcriptions.run_settlement import (
    cancel_run,
    settle_attempt,
    settle_run,
    settle_silent,
)
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import AUDIO, INFO, make_transcript
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionTrack
from ytcaption.domain.errors import LakeUnavailable, SetupError, StorageError, YtcaptionError
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import Priority, TranscriptionOptions, partition_key

SECRET = "Secret words"
SITE = "youtube.com"
OWNERS = ("key:anna", "jwt:https://issuer.example.org/:bert")

_CODE = re.compile(
    r"[a-z0-9_.-]{1,40}"  # our words, languages, sites
    r"|[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # SHA-256, UUID
    r"|transcripts/[A-Za-z0-9._-]+\.json|key:[a-z]+|(jwt|host)-[a-z2-7]{26}"
)


@dataclass
class Lively:
    """Three transcriptions, two of one media item, of two owners.

    What is not allowed as things stand is refused, as it would be to anybody.
    """

    store: RequestStore
    erasure: Erasure

    @property
    def run_store(self) -> RunStore:
        """The store that runs use."""
        return RunStore(postgres=self.store.postgres)

    def step(self, name: str, which: int, first: bool, second: bool) -> None:
        """One thing happens to one of them.

        Args:
            name: of `STEPS`.
            first, second: one way or the other.
        """
        id = self._request(which)[2]
        try:
            getattr(self, f"_{name}")(which, id, first, second)
        except YtcaptionError as refused:
            assert type(refused) not in (StorageError, SetupError), refused  # a fault of ours

    def _request(self, which: int) -> tuple[MediaSource, TranscriptionOptions, str]:
        media = f"youtube-{min(which, 1)}"
        source = MediaSource(media, "site", f"https://youtu.be/{media}", "Youtube", SECRET)
        options = TranscriptionOptions("base", initial_prompt=SECRET if which else None)
        return source, options, partition_key(media, options)

    def _run(self, which: int) -> str:
        return f"run-{which}"

    def _ask(self, which: int, _: str, first: bool, second: bool, force: bool = False) -> None:
        source, options, _ = self._request(which)
        priority: Priority = "interactive" if first else "bulk"
        self.store.submit(
            source,
            options,
            priority=priority,
            force=force,
            metadata={"note": SECRET},
            callback=Callback(f"https://example.org/{SECRET}"),
            owner=OWNERS[second],
            traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01",
        )

    def _force(self, which: int, id: str, first: bool, second: bool) -> None:
        self._ask(which, id, first, second, force=True)

    def _ask_many(self, which: int, _: str, first: bool, second: bool) -> None:
        source, options, _ = self._request(which)
        requests = [
            TranscriptionRequest(source, options, "bulk", force) for force in (False, first)
        ]
        self.store.submit_many(requests, owner=OWNERS[second])

    def _claim(self, which: int, id: str, first: bool, _: bool) -> None:
        attempt = get_transcription(self.store.postgres, id).attempt if first else None
        self.run_store.claim(id, self._run(which), attempt)

    def _work(self, which: int, id: str, first: bool, second: bool) -> None:
        run_id = self._run(which)
        self.run_store.claim(id, run_id)
        self.run_store.begin_download(id, run_id, 1)
        self.run_store.progress(id, run_id, "audio_download", 5, 10, is_milestone=first)
        if first:
            choice = CaptionChoice(SECRET, "manual", "en")
            track = CaptionTrack("vtt", SECRET.encode())
            self.run_store.captions_settled(id, run_id, choice, track, INFO)
        else:
            self.run_store.audio_stored(id, run_id, INFO, AUDIO)
        texts = (SECRET, "and more") if second else ()
        self.run_store.transcript_stored(
            id, run_id, make_transcript(id, texts), f"transcripts/{id}.json", "ef" * 32, 1.25
        )

    def _complete(self, which: int, id: str, first: bool, second: bool) -> None:
        if (
            first or get_transcription(self.store.postgres, id).document_key is None
        ):  # no run completes without
            self._work(which, id, first, second)
        self.run_store.complete(id, self._run(which))

    def _fail(self, which: int, id: str, first: bool, second: bool) -> None:
        code = "source_blocked" if second else "media_private"
        self.run_store.fail(id, self._run(which), code, SECRET, first, 2)

    def _download(self, which: int, id: str, first: bool, _: bool) -> None:
        """Begun, or given back where an operator has closed the site off."""
        if first:
            open_breaker(self.store.postgres, SITE, SECRET, OWNERS[1])
        self.run_store.begin_download(id, self._run(which), 1)

    def _reopen(self, *_: object) -> None:
        close_breaker(self.store.postgres, SITE, OWNERS[1])

    def _release(self, which: int, id: str, *_: object) -> None:
        self.run_store.release(id, self._run(which))

    def _lose(self, which: int, id: str, first: bool, second: bool) -> None:
        """A run that is gone is settled by one of those who find it."""
        if first:
            settle_silent(self.store.postgres, 0.0, 2)
        elif second:
            settle_run(self.store.postgres, self._run(which), "run_lost", SECRET, True, 2)
        else:
            settle_attempt(
                self.store.postgres,
                id,
                get_transcription(self.store.postgres, id).attempt,
                "run_lost",
                SECRET,
                True,
                2,
            )

    def _cancel(self, which: int, id: str, first: bool, second: bool) -> None:
        if first:
            cancel_run(self.store.postgres, self._run(which), id, 1)
        else:
            TranscriptionActions(self.store.postgres).cancel(id, OWNERS[second])

    def _retry(self, _: int, id: str, first: bool, second: bool) -> None:
        TranscriptionActions(self.store.postgres).retry(
            id, None if second else OWNERS[0], force=first
        )

    def _retry_all(self, *_: object) -> None:
        retry_all(self.store.postgres, RetryFilter(), "local")

    def _erase(self, _: int, id: str, first: bool, second: bool) -> None:
        """Whole, or cut short before the rows go."""
        with pytest.MonkeyPatch.context() as patch:
            if first:
                patch.setattr(Erasure, "_delete_rows", _cut)
            self.erasure.erase(id, None if second else OWNERS[0], force=True)

    def all_events(self) -> list[dict[str, Any]]:
        """Of all that has happened."""
        statement = "select * from ytcaption.event order by number"
        return [dict(row) for row in self.store.postgres.rows(statement, {})]


STEPS = (
    "ask", "ask_many", "force", "claim", "work", "complete", "complete", "fail", "download",
    "reopen", "release", "lose", "cancel", "retry", "retry_all", "erase",
)  # fmt: skip


def no_code(events: list[dict[str, Any]]) -> Iterator[str]:
    """Whatever in events' data is no number, id or code."""
    for event in events:
        assert SECRET not in json.dumps(event, default=str)
        for name, value in event["data"].items():
            is_number = value is None or isinstance(value, bool | int | float)
            if not is_number and not (isinstance(value, str) and _CODE.fullmatch(value)):
                yield f"{event['event_type']}.{name}: {value!r}"


def _cut(*_: object) -> None:
    raise LakeUnavailable("cut short")
