"""`make chaos`: many requests while processes are killed, and checks of what must hold afterwards.

    python -m tests.chaos.run [--seed 7] [--count 200] [--storm 220] [--limit 840] [--channel]
                              [--remote]

A seed determines the recordings, the faults of each site, the killed processes and the pauses. The
timing of everything else depends on the machine: two runs of one seed are similar, not equal.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import httpx
import psycopg
from rich.console import Console

from resources.postgres.urls import database_urls
from tests.chaos import verify
from tests.chaos.channel_storm import ChannelStorm
from tests.chaos.clients import Clients
from tests.chaos.disturbances import embedded, remote
from tests.chaos.killer import Killer
from tests.chaos.outcome import Outcome, counts_of, print_outcome
from tests.chaos.source import REFUSES, ChaosRequest, Sources
from tests.chaos.storm import FREE_WITHIN_S, Installation, Storm
from tests.support.servers.webhook_receiver import (
    Answer,
    WebhookReceiver,
)
from ytcaption.settings.settings import Settings

BUSY_S = 3.0
"""How long the webhook receiver refuses: less than the pause before a second attempt."""

DELIVERED_WITHIN_S = 60.0


class RequestStorm(Storm):
    """Makes requests by POST, in its first half, to sites that fail in every way."""

    def cause_chaos(self, stack: ExitStack, installation: Installation) -> Outcome:
        """Kill processes, cause all disturbances, let the webhook receiver refuse for a while."""
        sources = stack.enter_context(Sources(installation.folder / "clips"))
        receiver = stack.enter_context(WebhookReceiver())
        receiver.clock = installation.surroundings.clock
        requests = sources.requests(installation.clips, self.seed)
        up, settings = installation.up, installation.settings
        api = f"http://127.0.0.1:{up.state.api_port}/api/v1"
        secret = httpx.get(f"{api}/webhooks/callbacks/secret", timeout=60).json()["secret"]
        receiver.secrets.append(secret)
        paths = [f"/hook-{number}" for number in range(8)]

        def callback(number: int) -> str:
            return receiver.url(paths[number % len(paths)])

        with Clients(up, requests, self.storm_s / 2, callback) as clients:
            killer = Killer(up, self.seed, self.say, installation.surroundings.victims)
            with killer:
                self.wait(up, settings, self.storm_s / 2)
                self._disturb(installation, killer)
                for path in paths:
                    receiver.answers[path] = Answer(503)
                time.sleep(BUSY_S)
                for path in paths:
                    receiver.answers[path] = Answer(204)
            self.say("no process is killed any more")
            while not (clients.is_done and self.is_over(settings)) and not self.is_late:
                self.wait(up, settings, 5.0)
                if clients.is_done:
                    self._cancel_refused(api, settings, requests, clients.accepted)
            outcome = Outcome()
            self._check(settings, requests, clients, receiver, outcome)
            outcome.counts |= {
                "requests": len(requests),
                "repeated by clients": clients.repeats,
                **{f"killed: {name}": count for name, count in sorted(killer.killed.items())},
            }
        return outcome

    def _disturb(self, installation: Installation, killer: Killer) -> None:
        """Cause each disturbance once, spread over the second half of the killing."""
        disturbances = installation.surroundings.shuffled(self.seed)
        pause_s = self.storm_s / 2 / len(disturbances)
        for each in disturbances:
            with killer.paused if each.is_alone else nullcontext():
                self.say(f"for {each.seconds:.0f} s: {each.name}")
                with each.during(installation.up):
                    self.wait(installation.up, installation.settings, each.seconds)
            self.say("that is over")
            self.wait(installation.up, installation.settings, pause_s)

    def _cancel_refused(
        self,
        api: str,
        settings: Settings,
        requests: list[ChaosRequest],
        accepted: dict[int, str],
    ) -> None:
        """Cancel what waits for the site that refuses for ever, once nothing else is unfinished:
        the product tries it again for an hour (`FREE_PROBES_S`)."""
        refused = {
            accepted[each.number]
            for each in requests
            if each.fault is REFUSES and each.number in accepted
        }
        waiting = verify.unfinished(settings)
        if waiting and set(waiting) <= refused and set(waiting.values()) == {REFUSES.ends_as}:
            for id in waiting:
                httpx.post(f"{api}/transcriptions/{id}/cancel", timeout=60).raise_for_status()
                self.say(f"{id} waits for a site that refuses: canceled")

    def _check(
        self,
        settings: Settings,
        requests: list[ChaosRequest],
        clients: Clients,
        receiver: WebhookReceiver,
        outcome: Outcome,
    ) -> None:
        held = self.until(lambda: verify.nothing_is_held(settings), FREE_WITHIN_S)
        self.until(lambda: _undelivered(settings), DELIVERED_WITHIN_S)
        facts, accepted = verify.Facts.read(settings), clients.accepted
        outcome.wrong |= {
            "refused": list(clients.refused.values()),
            "ended with their true cause": verify.requests_ended_truly(facts, accepted, requests),
            "transcripts as undisturbed": verify.transcripts_are_undisturbed(
                facts, accepted, requests
            ),
            "nothing done twice": verify.work_was_done_once(facts),
            "lake and Postgres agree": verify.lake_and_postgres_agree(facts),
            "webhooks": verify.webhooks_arrived(facts, receiver.received),
            "slots and runs": held,
            "no orphan file": verify.no_orphan_files(facts),
        }
        outcome.counts |= counts_of(facts, receiver.received)


def _undelivered(settings: Settings) -> list[str]:
    with psycopg.connect(database_urls(settings).admin) as connection:
        rows = connection.execute(
            "select id::text from ytcaption.delivery where status = 'waiting'"
        ).fetchall()
        return [row[0] for row in rows]


def main() -> None:
    """Run a storm; the exit status is 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument(
        "--storm", type=float, default=220, help="seconds of killing, beside the disturbances"
    )
    parser.add_argument("--limit", type=float, default=840, help="time limit in seconds")
    parser.add_argument(
        "--channel", action="store_true", help="the items of one channel instead of requests"
    )
    parser.add_argument(
        "--remote", action="store_true", help="a Postgres and an S3 elsewhere, not those of `up`"
    )
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "chaos.log")
    arguments = parser.parse_args()
    console = Console()
    kind = ChannelStorm if arguments.channel else RequestStorm
    storm = kind(
        seed=arguments.seed,
        count=arguments.count,
        storm_s=arguments.storm,
        limit_s=arguments.limit,
        console=console,
        surroundings=remote if arguments.remote else embedded,
    )
    outcome = storm.run(arguments.log)
    print_outcome(outcome, arguments.log, console)
    raise SystemExit(int(not outcome.is_sound))


if __name__ == "__main__":
    main()
