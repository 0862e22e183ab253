"""An outbox in tests: transcriptions in a state, and time that passes at once."""

from dataclasses import dataclass
from typing import Any

from resources.postgres.connection import Postgres
from resources.transcriptions.rows import Callback
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from resources.webhooks.outbox import Outbox
from resources.webhooks.store import Webhook, Webhooks
from tests.support.transcripts import make_transcript, spoken
from ytcaption.domain.caller import LOCAL_OWNER
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.webhook import DEFAULT_WEBHOOK_EVENTS
from ytcaption.settings.settings import Settings

RUN = "run-1"
URL = "https://hooks.example.org/captions"


@dataclass
class Box:
    """An installation's webhooks and what they are to be told."""

    settings: Settings
    store: RequestStore
    postgres: Postgres

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.postgres)
        self.webhooks = Webhooks(self.settings, self.postgres)

    @property
    def run_store(self) -> RunStore:
        """The store that runs use."""
        return RunStore(postgres=self.store.postgres)

    def webhook(self, url: str = URL, owner: str = LOCAL_OWNER, **more: Any) -> Webhook:
        """A new one."""
        return self.webhooks.create(owner, url, **{"event_types": DEFAULT_WEBHOOK_EVENTS} | more)[0]

    def queued(
        self, media: str = "abc", *, owner: str = LOCAL_OWNER, callback: str | None = None, **more
    ) -> str:
        """The id of a queued transcription."""
        source = MediaSource(f"youtube-{media}", "site", f"https://youtu.be/{media}", "Youtube")
        include = more.pop("include", None)
        submission = self.store.submit(
            source,
            TranscriptionOptions("base"),
            owner=owner,
            callback=Callback(callback, include) if callback else None,
            **more,
        )
        return submission.transcription.id

    def completed(self, media: str = "abc", *, text: str = "Ask not.", **more: Any) -> str:
        """The id of one that has a result."""
        id = self.queued(media, **more)
        self.complete(id, text)
        return id

    def complete(self, id: str, text: str = "Ask not.") -> None:
        """A run makes it."""
        self.run_store.claim(id, RUN)
        self.run_store.transcript_stored(id, RUN, make_transcript(spoken(text)), "key", "0" * 64)
        self.run_store.complete(id, RUN)

    def failed(self, media: str = "abc", code: str = "media_private", **more: Any) -> str:
        """The id of one that nobody tries again."""
        id = self.queued(media, **more)
        self.run_store.claim(id, RUN)
        self.run_store.fail(id, RUN, code, "It is private.", retryable=False, max_attempts=4)
        return id

    def rows(self, statement: str = "select * from ytcaption.delivery order by id") -> list[Any]:
        """All deliveries, or what else is asked for."""
        return self.store.postgres.rows(statement, {})  # pyright: ignore[reportArgumentType]

    def deliveries(self) -> list[tuple[str, str]]:
        """Event and URL of each delivery."""
        return [(row["event_type"], row["url"]) for row in self.rows()]

    def pass_time(self, seconds: float) -> None:
        """So long later: everything the outbox knows happened so much earlier."""
        with self.store.postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.delivery set created_at = created_at - %(span)s::interval, "
                "next_attempt_at = next_attempt_at - %(span)s::interval, "
                "leased_until = leased_until - %(span)s::interval, "
                "settled_at = settled_at - %(span)s::interval",
                {"span": f"{seconds} seconds"},
            )
            connection.execute(
                "update ytcaption.webhook_secret set ends_at = ends_at - %s::interval",
                (f"{seconds} seconds",),
            )
