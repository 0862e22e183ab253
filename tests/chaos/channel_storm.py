"""A channel whose every item is to be taken once while everything is killed: README.md."""

import json
import threading
import time
from contextlib import ExitStack, suppress

from resources.channels.store import ChannelStore
from tests.chaos import channel_verify, verify
from tests.chaos.clients import Clients
from tests.chaos.clips import OPTIONS, Clip
from tests.chaos.killer import LISTING, VICTIMS, Killer
from tests.chaos.outcome import Outcome, counts_of
from tests.chaos.source import WHOLE, Asked
from tests.chaos.storm import FREE_WITHIN_S, House, Storm, statuses
from tests.support.channel_feeds import Episode, rss
from tests.support.servers.channel_host import ChannelHost
from ytcaption.domain.errors import YtcaptionError

NAME = "storm"
FEED_PARTS = 10
"""In which the feed comes, about; each names the next one (RFC 5005)."""

BEGUN_SHARE = 0.7
BATCHES = 6
"""In which the rest is published, in the first two thirds of the storm."""

ASK_EVERY_S = 8.0
"""So often somebody has the channel looked at: by itself it waits a minute after a listing died."""

PERSON_SHARE = 1 / 3
"""A person asks for a recording of their own once so much of the channel is completed, or this
part of the killing is left; in any case while some of it waits."""

_LISTINGS_EACH = 2
"""So many listings die where any other part does once."""

_CLIPS = 25
"""Different recordings, at most; each is under many addresses, and each address is an item."""


class Feed:
    """A podcast in parts, which grows."""

    def __init__(self, clips: list[Clip], part_size: int, host: ChannelHost) -> None:
        self._clips, self._part_size, self._host = clips, part_size, host
        self.length = 0

    def grow(self, length: int) -> None:
        """So many episodes from now on. The oldest part comes first: an item that moves from one
        to the next is in both meanwhile, never in none."""
        self.length, size = length, self._part_size
        newest_first = [self.episode(number) for number in reversed(range(length))]
        parts = [newest_first[at : at + size] for at in range(0, length, size)]
        following = None
        for place, part in reversed(list(enumerate(parts))):
            name = f"{NAME}-{place}"
            following = self._host.publish(name, rss("A storm", part, following))

    @property
    def url(self) -> str:
        """Of its first part."""
        return self._host.url(f"feeds/{NAME}-0.xml")

    def clip(self, number: int) -> Clip:
        """What is heard in an episode."""
        return self._clips[number % len(self._clips)]

    def episode(self, number: int) -> Episode:
        """With an address of its own."""
        name = self.clip(number).name
        size_bytes = (self._host.directory / name).stat().st_size
        url = self._host.url(f"episodes/{number}/{name}")
        return Episode(number, url, duration="", size_bytes=size_bytes)


class ChannelStorm(Storm):
    """A feed of `count` items, subscribed to by `ytcaption channels add`. It grows meanwhile."""

    @property
    def recordings(self) -> int:
        """Few, each heard as many items."""
        return min(self.count, _CLIPS)

    def rage(self, stack: ExitStack, house: House) -> Outcome:
        """Listings, their items' runs and all parts of the product are killed; meanwhile a person
        asks for a recording of their own."""
        host = ChannelHost()
        host.directory = house.folder / "clips"
        stack.enter_context(host)
        feed = Feed(house.clips, max(1, self.count // FEED_PARTS), host)
        feed.grow(round(self.count * BEGUN_SHARE))
        channel_id = self._subscribe(house, feed.url)
        clip = house.clips[0]
        asked = Asked(0, host.url(f"episodes/of-a-person/{clip.name}"), WHOLE, clip)
        ask_at = time.monotonic() + self.storm_s * (1 - PERSON_SHARE)

        def is_time() -> bool:
            found = statuses(house.settings)
            is_begun = found["completed"] >= self.count * PERSON_SHARE
            is_late = time.monotonic() > ask_at
            is_busy = found["queued"] > house.settings.transcriptions_at_once
            return is_busy and (is_begun or is_late)

        with Clients(house.up, [asked], 0.0, lambda _: None, is_time) as person:
            counts = self._kill(house, feed, channel_id)
            self.say("nobody is killed any more")
            while not self._is_done(house, channel_id, person) and not self.is_late:
                self.wait(house.up, house.settings, 5.0)
        outcome = self._checked(house, feed, channel_id)
        self._check_person(house, asked, person, outcome)
        outcome.counts |= {"pages of the feed given": len(host.requests), **counts}
        return outcome

    def _kill(self, house: House, feed: Feed, channel_id: str) -> dict[str, int]:
        """Kill while the feed grows and looks are asked for; how often which."""
        victims = [*VICTIMS, *[LISTING] * _LISTINGS_EACH]
        with (
            Killer(house.up, self.seed, self.say, victims) as killer,
            _Asking(ChannelStore.from_settings(house.settings, "admin"), channel_id) as asking,
        ):
            for batch in range(1, BATCHES + 1):
                self.wait(house.up, house.settings, self.storm_s * 2 / 3 / BATCHES)
                share = BEGUN_SHARE + (1 - BEGUN_SHARE) * batch / BATCHES
                feed.grow(round(self.count * share))
                self.say(f"{feed.length} items are published")
            self.wait(house.up, house.settings, self.storm_s / 3)
        asking.ask()
        killed = {f"killed: {name}": number for name, number in sorted(killer.killed.items())}
        return {"asked for a look": asking.times, **killed}

    def _subscribe(self, house: House, url: str) -> str:
        command = ("channels", "add", url, "--every", "1m", "--json")
        options = ("--model", OPTIONS.model, "--language", OPTIONS.language or "")
        done = house.up.run(*command, *options)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)["id"]

    def _is_done(self, house: House, channel_id: str, person: Clients) -> bool:
        items = channel_verify.number_of_items(house.settings, channel_id)
        return items >= self.count and person.is_done and self.is_over(house.settings)

    def _checked(self, house: House, feed: Feed, channel_id: str) -> Outcome:
        held = self.until(lambda: verify.nothing_is_held(house.settings), FREE_WITHIN_S)
        facts = verify.Facts.read(house.settings)
        items = channel_verify.items_of(house.settings, channel_id)
        wanted = {str(feed.episode(number).url): feed.clip(number) for number in range(self.count)}
        outcome = Outcome(counts={"items": self.count, **counts_of(facts, [])})
        outcome.wrong |= {
            "each item taken once": channel_verify.items_are_taken_once(facts, items, wanted),
            "transcripts as undisturbed": channel_verify.transcripts_are_undisturbed(
                facts, items, wanted
            ),
            "the channel rests": channel_verify.channel_rests(house.settings, channel_id),
            "nothing done twice": verify.work_was_done_once(facts),
            "lake and Postgres agree": verify.lake_and_postgres_agree(facts),
            "slots and runs": held,
            "no orphan file": verify.no_orphan_files(facts),
        }
        return outcome

    def _check_person(self, house: House, asked: Asked, person: Clients, outcome: Outcome) -> None:
        facts = verify.Facts.read(house.settings)
        id = person.accepted.get(asked.number)
        outcome.wrong |= {
            "a person's request came first": channel_verify.person_came_first(
                facts, id, house.settings.transcriptions_at_once
            ),
            "a person's transcript": verify.transcripts_are_undisturbed(
                facts, person.accepted, [asked]
            ),
        }
        if id is not None and (found := channel_verify.overtaken_by(facts, id)) is not None:
            outcome.counts |= {
                "bulk items waiting when a person asked": len(found.waited),
                "of these begun before the person's": len(found.began),
                "seconds until the person's began": round(found.after_s, 1),
            }


class _Asking:
    """A thread that asks for a look again and again; a context manager.

    Attributes:
        times: how often it was heard.
    """

    def __init__(self, store: ChannelStore, id: str) -> None:
        self.times = 0
        self._store, self._id = store, id
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="asking", daemon=True)

    def __enter__(self) -> "_Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def ask(self) -> None:
        """Once, if Postgres is there."""
        with suppress(YtcaptionError):
            self._store.run_now(self._id)
            self.times += 1

    def _work(self) -> None:
        while not self._ended.wait(ASK_EVERY_S):
            self.ask()
