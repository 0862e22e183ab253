"""Program of a worker's embedding process: `python -m resources.worker.embedding_child MODEL`.

It reads lines of `EmbedRequest` and writes a line of vectors for each, one after the other. It
loads the model with the first request, and exits when its standard input ends.
"""

import logging
import os
import sys
import threading
from queue import SimpleQueue
from typing import IO

from resources.embeddings.embedder import Embedder
from resources.worker.embedding_protocol import EmbedRequest, encode_vectors
from resources.worker.protocol import Message, encode_error, encode_line
from ytcaption.domain.errors import YtcaptionError

logger = logging.getLogger(__name__)


def serve(embedder: Embedder) -> None:
    """Serve until standard input ends; then the process exits, even during a request.

    Output of libraries goes to the log instead of the responses.
    """
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, lines), name="read", daemon=True).start()
    while True:
        responses.write(encode_line(_response(embedder, EmbedRequest.from_line(lines.get()))))
        responses.flush()


def _response(embedder: Embedder, request: EmbedRequest) -> Message:
    try:
        return encode_vectors(*embedder.encode(request.texts))
    except YtcaptionError as error:
        logger.warning("embedding failed: %s", error.message)
        return encode_error(error)
    except Exception as error:
        logger.exception("embedding failed")
        return encode_error(error)


def _read(requests: IO[bytes], lines: "SimpleQueue[bytes]") -> None:
    for line in requests:
        lines.put(line)
    os._exit(0)  # the worker has ended, or frees the memory


if __name__ == "__main__":
    serve(Embedder(sys.argv[1]))
