"""A run's claim on what it works on, a transcription or a channel: kept alive by heartbeats.

Every commit of a run checks that it still holds its claim. Errors of the block are recorded in the
database, which alone counts attempts; they become a `dg.Failure` that Dagster does not retry.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import dagster as dg

from ytcaption.domain.errors import ClaimLost, DatabaseUnavailable, YtcaptionError


class Claim(Protocol):
    """What differs between the kinds of runs."""

    def heartbeat(self) -> None:
        """Record that the run is alive.

        Raises:
            ClaimLost: the claim is no longer this run's.
            DatabaseUnavailable: not recorded.
        """

    def on_lost(self, ended: threading.Event) -> None:
        """React to the loss of the claim, in the thread of the heartbeats.

        Args:
            ended: set when the block has ended.
        """

    def lost(self, error: ClaimLost) -> BaseException:
        """Return the exception by which the run ends after the block lost its claim."""
        ...

    def record(
        self, code: str, message: str, retryable: bool, retry_after_s: float | None = None
    ) -> str:
        """Record that the block failed. Return what follows from it, for the log.

        Args:
            code, message, retryable, retry_after_s: of a YtcaptionError.

        Raises:
            ClaimLost, DatabaseUnavailable: not recorded.
        """
        ...

    def on_success(self, heartbeats: "Heartbeats") -> None:
        """Stop the heartbeats, or let them go on after the block."""


class Heartbeats:
    """A thread that sends a claim's heartbeats until it is stopped or the claim is lost.

    Attributes:
        ended: set when it is stopped.
    """

    def __init__(self, claim: Claim, interval_s: float) -> None:
        self.ended = threading.Event()
        self._claim = claim
        self._interval_s = interval_s
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Send the first heartbeat after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more, and wait for the thread to end."""
        self.ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self.ended.wait(self._interval_s):
            try:
                self._claim.heartbeat()
            except ClaimLost:
                self._claim.on_lost(self.ended)
                return
            except DatabaseUnavailable:
                continue  # it is back before the claim expires, or a later heartbeat is refused


@contextmanager
def keep_claim(
    context: dg.AssetExecutionContext, claim: Claim, interval_s: float
) -> Iterator[None]:
    """Send heartbeats of a claim during the block, and record the block's error.

    Raises:
        dg.Failure: the block failed.
        BaseException: `claim.lost`: the block lost its claim.
    """
    heartbeats = Heartbeats(claim, interval_s)
    heartbeats.start()
    succeeded = False
    try:
        yield
        succeeded = True
    except ClaimLost as error:
        raise claim.lost(error) from error
    except YtcaptionError as error:
        record_failure(
            context, claim, error.code, error.message, error.retryable, error.retry_after_s
        )
        raise failure(error) from error
    finally:
        if succeeded:
            claim.on_success(heartbeats)
        else:
            heartbeats.stop()


def record_failure(
    context: dg.AssetExecutionContext,
    claim: Claim,
    code: str,
    message: str,
    retryable: bool,
    retry_after_s: float | None = None,
) -> None:
    """Record an error of the block, if the claim is still held and the database available. If not,
    sensors settle the run when they find it over or silent."""
    try:
        outcome = claim.record(code, message, retryable, retry_after_s)
    except ClaimLost:
        return
    except DatabaseUnavailable as unavailable:
        context.log.warning("not recorded: %s", unavailable)
        return
    context.log.info("recorded %s, now %s", code, outcome)


def failure(error: YtcaptionError) -> dg.Failure:
    """Return the failure of an asset: never retried by Dagster, its code in the metadata."""
    return dg.Failure(error.message, metadata={"code": error.code}, allow_retries=False)
