"""Log lines of the process."""

import json
import subprocess
import sys

PROGRAM = """
import logging
from api.logs import configure_logging
logging.getLogger("uvicorn.access").addHandler(logging.StreamHandler())
configure_logging()
configure_logging()
logging.getLogger("api.access").info("GET / 200", extra={"request_id": "abc", "status": 200})
logging.getLogger("uvicorn.access").info("GET /?token=s3cret")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("api.middleware").exception("request abc failed")
"""


def test_each_event_is_one_json_object_on_standard_error() -> None:
    """Set up twice it is still written once; uvicorn's own access line, with its query, is not."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["GET / 200", "request abc failed"]
    assert (lines[0]["request_id"], lines[0]["status"], lines[0]["level"]) == ("abc", 200, "info")
    assert "ZeroDivisionError" in lines[1]["exception"]
    assert "s3cret" not in done.stderr
    assert done.stdout == ""
