"""The process that holds the model of semantic search for a worker:
`python -m resources.worker.embedding_child MODEL`.

It reads a line of `Texts` and writes a line of vectors, one after the other, loads the model with
the first one, and ends when its input does.
"""

import logging
import os
import sys
import threading
from queue import SimpleQueue
from typing import IO

from resources.embeddings.embedder import Embedder
from resources.worker.embedding_protocol import Texts, encode_vectors
from resources.worker.protocol import Said, encode_error, line
from ytcaption.domain.errors import YtcaptionError

logger = logging.getLogger(__name__)


def serve(embedder: Embedder) -> None:
    """Answers until the standard input has ended, and the process with it, whatever it is in the
    middle of. What a library prints goes to the log, not among the answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, lines), name="read", daemon=True).start()
    while True:
        answers.write(line(_answer(embedder, Texts.read(lines.get()))))
        answers.flush()


def _answer(embedder: Embedder, asked: Texts) -> Said:
    try:
        return encode_vectors(*embedder.encode(asked.texts))
    except YtcaptionError as error:
        logger.warning("not embedded: %s", error.message)
        return encode_error(error)
    except Exception as error:
        logger.exception("not embedded")
        return encode_error(error)


def _read(asked: IO[bytes], lines: "SimpleQueue[bytes]") -> None:
    for each in asked:
        lines.put(each)
    os._exit(0)  # the worker has ended, or gives the memory back


if __name__ == "__main__":
    serve(Embedder(sys.argv[1]))
