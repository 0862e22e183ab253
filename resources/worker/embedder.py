"""Embeds in a worker that has loaded the model, else in this process: the vectors are the same."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from resources.embeddings.embedder import BUSY_MESSAGE, Embedder, EmbeddingModel, embedder_of
from resources.worker.client import Worker, WorkerBusy, WorkerLost, reachable_workers, worker_folder
from resources.worker.protocol import Health
from ytcaption.domain.errors import ModelUnavailable
from ytcaption.settings.settings import Settings

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

_WAIT_S = 0.2
"""Between two requests to a busy worker."""

_COOL_DOWN_S = 60.0
"""A lost worker is not used again for this long."""


class WorkerEmbedder(Embedder):
    """The model of `local`, in a worker or in this process."""

    def __init__(self, local: Embedder, workers: Callable[[], Sequence[Worker]]) -> None:
        """Create the embedder; connect and load nothing yet.

        Args:
            local: embeds if no worker does.
            workers: returns the workers to use; some may have died, or have another model.
        """
        super().__init__(local.name)
        self._local = local
        self._workers = workers
        self._chosen: Worker | None = None
        self._unavailable_until: dict[str, float] = {}
        self._made_by: EmbeddingModel | None = None

    @property
    def model(self) -> EmbeddingModel:
        """The model as last used; if never used, it is loaded.

        Raises:
            as `encode`.
        """
        return self._made_by or super().model

    def encode(
        self, texts: Sequence[str], wait_s: float = -1.0
    ) -> tuple[EmbeddingModel, "np.ndarray"]:
        """See `Embedder.encode`.

        A worker's error about the model is raised here. If a worker dies, hangs or stops, the next
        one is used, and finally this process.
        """
        give_up_at = time.monotonic() + wait_s if wait_s >= 0 else float("inf")

        def check_time() -> None:
            if time.monotonic() > give_up_at:
                raise ModelUnavailable(BUSY_MESSAGE)

        result = self._by_worker(texts, check_time) or self._local.encode(texts, wait_s)
        if result[0] != self._made_by:
            self._query.cache_clear()  # its vectors are another model's
            self._made_by = result[0]
        return result

    def _by_worker(
        self, texts: Sequence[str], check_time: Callable[[], None]
    ) -> tuple[EmbeddingModel, "np.ndarray"] | None:
        """Embed in a worker; return None if no worker can."""
        while (worker := self._chosen or self._free_worker()) is not None:
            try:
                result = worker.embed(self.name, texts, check_time)
            except WorkerBusy:
                check_time()
                time.sleep(_WAIT_S)
            except WorkerLost as error:
                logger.warning("worker %s is lost: %s", worker.name, error)
                self._unavailable_until[worker.name] = time.monotonic() + _COOL_DOWN_S
                self._chosen = None
            else:
                self._chosen = worker
                return result
        return None

    def _free_worker(self) -> Worker | None:
        """Return a worker that has loaded the model, or else can; None if there is none."""
        now = time.monotonic()
        workers = [
            (_cost(health, worker), worker)
            for worker in self._workers()
            if self._unavailable_until.get(worker.name, now) <= now
            and (health := worker.health()) is not None
            and health.embedding is not None
            and health.embedding.model == self.name
        ]
        return min(workers, key=lambda each: each[0])[1] if workers else None


def _cost(health: Health, worker: Worker) -> tuple[bool, bool, float]:
    """Return a sort key: has loaded the model; is on this machine; is the least busy."""
    assert health.embedding is not None
    return not health.embedding.is_loaded, worker.socket is None, health.jobs / max(health.slots, 1)


def warm_embedder_of(settings: Settings) -> Embedder:
    """Return this process's embedder for the settings' model; connect and load nothing yet."""
    return _warm_embedder(
        settings.search.embedding_model,
        worker_folder(settings),
        tuple(settings.worker.workers),
        settings.worker.worker_timeout_s,
    )


@lru_cache(maxsize=1)
def _warm_embedder(name: str, folder: str, urls: Sequence[str], timeout_s: float) -> Embedder:
    return WorkerEmbedder(embedder_of(name), lambda: reachable_workers(folder, urls, timeout_s))
