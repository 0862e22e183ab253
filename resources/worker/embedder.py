"""Vectors from a warm worker where one has the model, else from this process: the same ones."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from resources.embeddings.embedder import BUSY, Embedder, EmbeddingModel, embedder_of
from resources.worker.client import Worker, WorkerBusy, WorkerLost, reachable_workers, worker_folder
from resources.worker.protocol import Health
from ytcaption.domain.errors import ModelUnavailable
from ytcaption.settings import Settings

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

_WAIT_S = 0.2
"""Between two looks at a worker where too many wait."""

_REST_S = 60.0
"""A worker that was lost is not asked again for so long."""


class WorkerEmbedder(Embedder):
    """The model of `local`, in whichever process."""

    def __init__(self, local: Embedder, workers: Callable[[], Sequence[Worker]]) -> None:
        """Asks and loads nothing yet.

        Args:
            local: what embeds where no worker does.
            workers: those that may be asked; some may have died, or have another model.
        """
        super().__init__(local.name)
        self._local = local
        self._workers = workers
        self._chosen: Worker | None = None
        self._rests_until: dict[str, float] = {}
        self._made_by: EmbeddingModel | None = None

    @property
    def model(self) -> EmbeddingModel:
        """What it was when it was last used, or else is.

        Raises:
            as `encode`.
        """
        return self._made_by or super().model

    def encode(
        self, texts: Sequence[str], wait_s: float = -1.0
    ) -> tuple[EmbeddingModel, "np.ndarray"]:
        """See `Embedder.encode`. What a worker says of the model is an error here, too; one that
        dies, hangs or is stopped is followed by the next, and at last by this process."""
        give_up_at = time.monotonic() + wait_s if wait_s >= 0 else float("inf")

        def wait() -> None:
            if time.monotonic() > give_up_at:
                raise ModelUnavailable(BUSY)

        made = self._by_worker(texts, wait) or self._local.encode(texts, wait_s)
        if made[0] != self._made_by:
            self._query.cache_clear()  # its vectors are another model's
            self._made_by = made[0]
        return made

    def _by_worker(
        self, texts: Sequence[str], wait: Callable[[], None]
    ) -> tuple[EmbeddingModel, "np.ndarray"] | None:
        """None where no worker can."""
        while (worker := self._chosen or self._free_worker()) is not None:
            try:
                made = worker.embed(self.name, texts, wait)
            except WorkerBusy:
                wait()
                time.sleep(_WAIT_S)
            except WorkerLost as error:
                logger.warning("worker %s is lost: %s", worker.name, error)
                self._rests_until[worker.name] = time.monotonic() + _REST_S
                self._chosen = None
            else:
                self._chosen = worker
                return made
        return None

    def _free_worker(self) -> Worker | None:
        """One that has loaded the model, or else can; None where there is none."""
        now = time.monotonic()
        found = [
            (_cost(health, worker), worker)
            for worker in self._workers()
            if self._rests_until.get(worker.name, now) <= now
            and (health := worker.health()) is not None
            and health.embedding is not None
            and health.embedding.model == self.name
        ]
        return min(found, key=lambda each: each[0])[1] if found else None


def _cost(health: Health, worker: Worker) -> tuple[bool, bool, float]:
    """Least first: where the model is loaded; on this machine; with the least to hear."""
    assert health.embedding is not None
    return not health.embedding.is_loaded, worker.socket is None, health.jobs / max(health.slots, 1)


def warm_embedder_of(settings: Settings) -> Embedder:
    """This process's, for the model of the settings; asks and loads nothing yet."""
    return _warm_embedder(
        settings.embedding_model,
        worker_folder(settings),
        tuple(settings.workers),
        settings.worker_silence_s,
    )


@lru_cache(maxsize=1)
def _warm_embedder(name: str, folder: str, urls: Sequence[str], silence_s: float) -> Embedder:
    return WorkerEmbedder(embedder_of(name), lambda: reachable_workers(folder, urls, silence_s))
