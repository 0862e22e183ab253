"""A worker's handle on the process that holds the embedding model.

torch and the model take 600 MB. A process that has dropped the model keeps nine tenths of it, and a
crash in them ends the process. So they run in their own process. It starts with the first request,
makes one embedding at a time on half the cores, which leaves the others to transcription, and is
ended when it is idle.
"""

import asyncio
import json
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence

import psutil

from resources.worker.embedding_protocol import MAX_RESPONSE_BYTES, EmbedRequest
from resources.worker.protocol import EmbeddingHealth, encode_error, encode_line
from ytcaption.settings.secret_variables import MODELS, only_secrets

logger = logging.getLogger(__name__)

MAX_WAITING = 32
"""Requests at once; further clients have to try again."""

STALL_S = 180.0
"""A process that has not responded for this long hangs; loading is included."""


class EmbeddingBusy(Exception):
    """Too many requests are waiting: try again later."""


class EmbeddingProcess:
    """The process of the model in the settings.

    Attributes:
        model: its name.
    """

    def __init__(self, model: str, idle_s: float, command: Sequence[str] = ()) -> None:
        """Create the handle; start nothing yet.

        Args:
            idle_s: seconds without work until the process is ended; 0: never.
            command: the program to start; default: `embedding_child`.
        """
        self.model = model
        self._idle_s = idle_s
        self._command = command or (
            *(sys.executable, "-P", "-m", "resources.worker.embedding_child"),
            model,
        )
        self._lock = asyncio.Lock()
        self._process: Process | None = None
        self._is_loaded = False
        self._used_at = 0.0
        self._requests: set[asyncio.Task[bytes]] = set()

    def embed(self, request: EmbedRequest) -> asyncio.Task[bytes]:
        """Return a task whose result is a line of vectors or of an error.

        The task is finished even if the client disconnects: the next one finds the model loaded.

        Raises:
            EmbeddingBusy: too many requests are waiting.
        """
        if len(self._requests) >= MAX_WAITING:
            raise EmbeddingBusy
        task = asyncio.create_task(self._respond(request))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
        return task

    def health(self) -> EmbeddingHealth:
        """Return the state of the process."""
        if self._process is None or self._process.returncode is not None:
            return EmbeddingHealth(self.model)
        try:
            memory_bytes = psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:  # it has just ended
            return EmbeddingHealth(self.model)
        return EmbeddingHealth(self.model, self._is_loaded, memory_bytes)

    async def end_if_idle(self) -> None:
        """End the process if there was no request for `idle_s`."""
        is_idle = not self._requests and time.monotonic() - self._used_at > self._idle_s
        if self._process is None or not self._idle_s or not is_idle:
            return
        memory_bytes = self.health().memory_bytes
        async with self._lock:
            await self._end()
        logger.info("idle: the embedding process freed %d MB", memory_bytes >> 20)

    async def close(self) -> None:
        """End the process, even during a request."""
        await self._end()

    async def _respond(self, request: EmbedRequest) -> bytes:
        async with self._lock:
            began, was_loaded = time.monotonic(), self._is_loaded
            try:
                async with asyncio.timeout(STALL_S):
                    response = await self._exchange(request)
            except (OSError, TimeoutError, ValueError) as error:
                logger.warning("the embedding process is lost: %r", error)
                response = b""
            self._used_at = time.monotonic()
            if not response.endswith(b"\n"):
                await self._end()
                return encode_line(encode_error(RuntimeError()))
            self._is_loaded = "vectors" in json.loads(response)
            if not was_loaded and self._is_loaded:
                logger.info("%s: loaded in %.1f s", self.model, self._used_at - began)
            return response

    async def _exchange(self, request: EmbedRequest) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                limit=MAX_RESPONSE_BYTES,
                env=_environment(os.environ),
                start_new_session=True,  # Ctrl-C is for the worker; this process ends with it
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(request.to_line())
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _end(self) -> None:
        process, self._process, self._is_loaded = self._process, None, False
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with limited threads, without secrets but those that fetch a model,
    and without progress bars in the worker's log."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
    return {
        **only_secrets(environment, MODELS),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }
