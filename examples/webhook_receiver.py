"""Receives ytcaption's webhooks: `pip install standardwebhooks`, then

    YTCAPTION_WEBHOOK_SECRET=whsec_... python webhook_receiver.py 9000

Accepts each event once, although it may arrive several times, and answers at once.
"""

import json
import logging
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

LARGEST = 20_000
seen: set[str] = set()  # store it together with your own work, in one transaction
logger = logging.getLogger("receiver")


class Receiver(BaseHTTPRequestHandler):
    """Verifies and accepts deliveries."""

    webhook = Webhook(os.environ["YTCAPTION_WEBHOOK_SECRET"])

    def do_POST(self) -> None:
        """Answer 204 (accepted), 400 (not from ytcaption) or 413 (too long)."""
        size = int(self.headers.get("Content-Length", 0))
        if size > LARGEST:
            self._answer(413)
            return
        body = self.rfile.read(size)  # unchanged: the signature covers these bytes
        try:
            self.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self._answer(400)
            return
        event_id = self.headers["webhook-id"]
        if event_id not in seen:
            seen.add(event_id)
            message = json.loads(body)
            logger.info("%s %s", message["type"], message["data"])
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
