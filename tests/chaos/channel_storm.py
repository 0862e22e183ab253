"""A channel whose items must each be transcribed once while processes are killed: README.md."""

import json
import threading
import time
from contextlib import ExitStack, suppress

from resources.channels.store import ChannelStore
from tests.chaos import channel_verify, verify
from tests.chaos.clients import Clients
from tests.chaos.clips import OPTIONS, Clip
from tests.chaos.killer import LISTING, Killer
from tests.chaos.outcome import Outcome, counts_of
from tests.chaos.source import SOUND, ChaosRequest
from tests.chaos.storm import FREE_WITHIN_S, Installation, Storm, statuses
from tests.support.channel_feeds import Episode, rss
from tests.support.servers.channel_host import ChannelHost
from ytcaption.domain.errors import YtcaptionError

NAME = "storm"
FEED_PARTS = 10
"""Approximate number of pages of the feed; each links to the next one (RFC 5005)."""

INITIAL_SHARE = 0.7
BATCHES = 6
"""Number of batches in which the other items are published, in the first two thirds."""

POLL_EVERY_S = 8.0
"""Interval of requested polls: by itself the channel waits a minute after a listing died."""

INTERACTIVE_SHARE = 1 / 3
"""The interactive request is made once this share of the channel is completed, or this share of the
killing is left, in any case while items are waiting."""

_LISTINGS_EACH = 2
"""Number of listings killed for each kill of any other part."""

_CLIPS = 25
"""Most different recordings; each has many URLs, and each URL is an item."""


class Feed:
    """A paged podcast feed that grows."""

    def __init__(self, clips: list[Clip], part_size: int, host: ChannelHost) -> None:
        self._clips, self._part_size, self._host = clips, part_size, host
        self.length = 0

    def grow(self, length: int) -> None:
        """Publish this many episodes.

        The oldest page is written first, so that an item that moves to the next page is on both
        for a while, and never on none.
        """
        self.length, size = length, self._part_size
        newest_first = [self.episode(number) for number in reversed(range(length))]
        parts = [newest_first[at : at + size] for at in range(0, length, size)]
        following = None
        for place, part in reversed(list(enumerate(parts))):
            name = f"{NAME}-{place}"
            following = self._host.publish(name, rss("A storm", part, following))

    @property
    def url(self) -> str:
        """URL of the first page."""
        return self._host.url(f"feeds/{NAME}-0.xml")

    def clip(self, number: int) -> Clip:
        """Return the recording of an episode."""
        return self._clips[number % len(self._clips)]

    def episode(self, number: int) -> Episode:
        """Return an episode with its own URL."""
        name = self.clip(number).name
        size_bytes = (self._host.directory / name).stat().st_size
        url = self._host.url(f"episodes/{number}/{name}")
        return Episode(number, url, duration="", size_bytes=size_bytes)


class ChannelStorm(Storm):
    """A feed of `count` items, subscribed to by `ytcaption channels add`, that grows meanwhile."""

    @property
    def recordings(self) -> int:
        """Number of recordings; each is the audio of many items."""
        return min(self.count, _CLIPS)

    def cause_chaos(self, stack: ExitStack, installation: Installation) -> Outcome:
        """Kill listings, their items' runs and all other processes; make an interactive request."""
        host = ChannelHost()
        host.directory = installation.folder / "clips"
        stack.enter_context(host)
        feed = Feed(installation.clips, max(1, self.count // FEED_PARTS), host)
        feed.grow(round(self.count * INITIAL_SHARE))
        channel_id = self._subscribe(installation, feed.url)
        clip = installation.clips[0]
        request = ChaosRequest(0, host.url(f"episodes/interactive/{clip.name}"), SOUND, clip)
        request_at = time.monotonic() + self.storm_s * (1 - INTERACTIVE_SHARE)

        def is_time() -> bool:
            counts = statuses(installation.settings)
            is_begun = counts["completed"] >= self.count * INTERACTIVE_SHARE
            is_late = time.monotonic() > request_at
            is_busy = counts["queued"] > installation.settings.transcriptions_at_once
            return is_busy and (is_begun or is_late)

        with Clients(installation.up, [request], 0.0, lambda _: None, is_time) as client:
            counts = self._kill(installation, feed, channel_id)
            self.say("no process is killed any more")
            while not self._is_done(installation, channel_id, client) and not self.is_late:
                self.wait(installation.up, installation.settings, 5.0)
        outcome = self._check(installation, feed, channel_id)
        self._check_interactive(installation, request, client, outcome)
        outcome.counts |= {"pages of the feed served": len(host.requests), **counts}
        return outcome

    def _kill(self, installation: Installation, feed: Feed, channel_id: str) -> dict[str, int]:
        """Kill while the feed grows and polls are requested; return how often each was killed."""
        victims = [*installation.surroundings.victims, *[LISTING] * _LISTINGS_EACH]
        store = ChannelStore.from_settings(installation.settings, "admin")
        with (
            Killer(installation.up, self.seed, self.say, victims) as killer,
            _Poller(store, channel_id) as poller,
        ):
            for batch in range(1, BATCHES + 1):
                self.wait(installation.up, installation.settings, self.storm_s * 2 / 3 / BATCHES)
                share = INITIAL_SHARE + (1 - INITIAL_SHARE) * batch / BATCHES
                feed.grow(round(self.count * share))
                self.say(f"{feed.length} items are published")
            self.wait(installation.up, installation.settings, self.storm_s / 3)
        poller.request_poll()
        killed = {f"killed: {name}": count for name, count in sorted(killer.killed.items())}
        return {"requested polls": poller.count, **killed}

    def _subscribe(self, installation: Installation, url: str) -> str:
        command = ("channels", "add", url, "--every", "1m", "--json")
        options = ("--model", OPTIONS.model, "--language", OPTIONS.language or "")
        done = installation.up.run(*command, *options)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)["id"]

    def _is_done(self, installation: Installation, channel_id: str, client: Clients) -> bool:
        items = channel_verify.number_of_items(installation.settings, channel_id)
        return items >= self.count and client.is_done and self.is_over(installation.settings)

    def _check(self, installation: Installation, feed: Feed, channel_id: str) -> Outcome:
        held = self.until(lambda: verify.nothing_is_held(installation.settings), FREE_WITHIN_S)
        facts = verify.Facts.read(installation.settings)
        items = channel_verify.items_of(installation.settings, channel_id)
        published = {
            str(feed.episode(number).url): feed.clip(number) for number in range(self.count)
        }
        outcome = Outcome(counts={"items": self.count, **counts_of(facts, [])})
        outcome.wrong |= {
            "each item queued once": channel_verify.items_are_queued_once(facts, items, published),
            "transcripts as undisturbed": channel_verify.transcripts_are_undisturbed(
                facts, items, published
            ),
            "the channel is idle": channel_verify.channel_is_idle(
                installation.settings, channel_id
            ),
            "nothing done twice": verify.work_was_done_once(facts),
            "lake and Postgres agree": verify.lake_and_postgres_agree(facts),
            "slots and runs": held,
            "no orphan file": verify.no_orphan_files(facts),
        }
        return outcome

    def _check_interactive(
        self,
        installation: Installation,
        request: ChaosRequest,
        client: Clients,
        outcome: Outcome,
    ) -> None:
        facts = verify.Facts.read(installation.settings)
        id = client.accepted.get(request.number)
        outcome.wrong |= {
            "the interactive request came first": channel_verify.interactive_came_first(
                facts, id, installation.settings.transcriptions_at_once
            ),
            "the interactive transcript": verify.transcripts_are_undisturbed(
                facts, client.accepted, [request]
            ),
        }
        if id is not None and (overtaken := channel_verify.overtaken_by(facts, id)) is not None:
            outcome.counts |= {
                "bulk items waiting at the interactive request": len(overtaken.waited),
                "of these begun before it": len(overtaken.began),
                "seconds until it began": round(overtaken.after_s, 1),
            }


class _Poller:
    """A thread that requests polls repeatedly; a context manager.

    Attributes:
        count: number of successful requests.
    """

    def __init__(self, store: ChannelStore, id: str) -> None:
        self.count = 0
        self._store, self._id = store, id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="poller", daemon=True)

    def __enter__(self) -> "_Poller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def request_poll(self) -> None:
        """Request a poll, unless Postgres is not available."""
        with suppress(YtcaptionError):
            self._store.run_now(self._id)
            self.count += 1

    def _work(self) -> None:
        while not self._ended.wait(POLL_EVERY_S):
            self.request_poll()
