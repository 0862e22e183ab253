"""A worker's handle on the process that holds the model of semantic search.

torch and the model take 600 MB. A process that has dropped the model keeps nine tenths of it, and
a fault of theirs ends the process. So they are in one of their own. It starts when somebody first
asks, makes one embedding at a time on half the cores, which leaves the others to what is heard, and
is ended when nobody has asked for long.
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

from resources.worker.embedding_protocol import LONGEST_ANSWER, Texts
from resources.worker.protocol import EmbeddingHealth, encode_error, line

logger = logging.getLogger(__name__)

MOST_WAITING = 32
"""Of those who ask, at once: all others are to ask again."""

STALL_S = 180.0
"""A process that has not answered for so long hangs, loading included."""


class EmbeddingBusy(Exception):
    """Too many wait: ask again."""


class EmbeddingProcess:
    """One model, named by the settings.

    Attributes:
        model: its name.
    """

    def __init__(self, model: str, idle_s: float, command: Sequence[str] = ()) -> None:
        """Starts nothing yet.

        Args:
            idle_s: without work, until the process is ended; 0: never.
            command: what to start; left out, `embedding_child`.
        """
        self.model = model
        self._idle_s = idle_s
        self._command = command or (
            *(sys.executable, "-P", "-m", "resources.worker.embedding_child"),
            model,
        )
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._is_loaded = False
        self._used_at = 0.0
        self._answers: set[asyncio.Task[bytes]] = set()

    def ask(self, texts: Texts) -> asyncio.Task[bytes]:
        """Its answer, a line of vectors or of an error. It is made to its end, even if nobody waits
        for it any more: the next one who asks finds the model loaded.

        Raises:
            EmbeddingBusy: too many wait.
        """
        if len(self._answers) >= MOST_WAITING:
            raise EmbeddingBusy
        answer = asyncio.create_task(self._answer(texts))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        return answer

    def health(self) -> EmbeddingHealth:
        """How it is."""
        if self._process is None or self._process.returncode is not None:
            return EmbeddingHealth(self.model)
        try:
            memory_bytes = psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:  # it has just ended
            return EmbeddingHealth(self.model)
        return EmbeddingHealth(self.model, self._is_loaded, memory_bytes)

    async def give_back(self) -> None:
        """Ends the process where nobody has asked for long."""
        is_idle = not self._answers and time.monotonic() - self._used_at > self._idle_s
        if self._process is None or not self._idle_s or not is_idle:
            return
        memory_bytes = self.health().memory_bytes
        async with self._turn:
            await self._end()
        logger.info("idle: the process that embeds gave %d MB back", memory_bytes >> 20)

    async def close(self) -> None:
        """Ends the process, whatever it does."""
        await self._end()

    async def _answer(self, texts: Texts) -> bytes:
        async with self._turn:
            began, was_loaded = time.monotonic(), self._is_loaded
            try:
                async with asyncio.timeout(STALL_S):
                    answer = await self._answered_line(texts)
            except (OSError, TimeoutError, ValueError) as error:
                logger.warning("the process that embeds is lost: %r", error)
                answer = b""
            self._used_at = time.monotonic()
            if not answer.endswith(b"\n"):
                await self._end()
                return line(encode_error(RuntimeError()))
            self._is_loaded = "vectors" in json.loads(answer)
            if not was_loaded and self._is_loaded:
                logger.info("%s: loaded in %.1f s", self.model, self._used_at - began)
            return answer

    async def _answered_line(self, texts: Texts) -> bytes:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                limit=LONGEST_ANSWER,
                env=_environment(os.environ),
                start_new_session=True,  # Ctrl-C is for the worker: this one ends when that has
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(texts.line())
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _end(self) -> None:
        process, self._process, self._is_loaded = self._process, None, False
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """With bounded threads, and nothing that draws its progress into the worker's log."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
    return {
        **environment,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }
