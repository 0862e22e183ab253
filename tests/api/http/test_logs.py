"""The log lines of a process."""

import json
import logging
import os
import pty
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from resources.download.downloader import Downloader
from resources.telemetry.logs import OWN_LOGGERS, redact_secrets
from tests.api.conftest import BASE_URL
from tests.ytcaption_assets.assets.conftest import Graph, environment, graph  # noqa: F401
from ytcaption.domain.errors import MediaNotFound
from ytcaption.settings.settings import Settings

PROGRAM = """
import logging
from api.http.logs import configure_logging
logging.getLogger("uvicorn.access").addHandler(logging.StreamHandler())
configure_logging()
configure_logging()
logging.getLogger("api.access").info("GET / 200", extra={"request_id": "abc", "status": 200})
logging.getLogger("uvicorn.access").info("GET /?token=s3cret")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("api.http.middleware").exception("request abc failed")
"""


@pytest.fixture(autouse=True)
def no_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove handlers that another test's run installed: they would repeat each line."""
    for name in OWN_LOGGERS:
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])


def test_each_event_is_one_json_object_on_standard_error() -> None:
    """Configured twice it still writes once; uvicorn's access line, with its query string, is not
    written."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["GET / 200", "request abc failed"]
    assert (lines[0]["request_id"], lines[0]["status"], lines[0]["level"]) == ("abc", 200, "info")
    assert "ZeroDivisionError" in lines[1]["exception"]
    assert "s3cret" not in done.stderr
    assert done.stdout == ""


SECRETS = (
    "https://user:pa55w0rd@example.com:8443/a/b.mp3?token=pa55w0rd#pa55w0rd",
    "postgresql://captioner:pa55w0rd@db.internal/ytcaption?sslmode=require",
    "redis://:pa55w0rd@cache:6379/0",
    "ytc_9h3k2m_pa55w0rdpa55w0rd",
    "Authorization: Bearer pa55w0rd.pa55w0rd",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwYTU1dzByZCJ9.pa55w0rd",
    "whsec_pa55w0rd",
    "password=pa55w0rd api_key=pa55w0rd",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_left_in_a_line(secret: str) -> None:
    """Neither user info or query of a URL, nor a key or token remains; host and path stay."""
    line = redact_secrets(f'{{"event": "fetching {secret} failed", "at": "now"}}')

    assert "pa55w0rd" not in line
    assert json.loads(line)["event"].startswith("fetching ")
    assert json.loads(line)["event"].endswith(" failed")
    assert ("example.com:8443/a/b.mp3" in line) == ("example.com" in secret)


HOSTILE = """
import logging, sys
from api.http.logs import configure_logging
configure_logging(sys.argv[1])
log = logging.getLogger("resources.x")
log.warning("at %s", "https://u:pa55w0rd@h/p?k=pa55w0rd", extra={"url": "http://h/?k=pa55w0rd"})
try:
    raise ValueError("https://u:pa55w0rd@h/p?k=pa55w0rd")
except ValueError:
    log.exception("failed")
"""


@pytest.mark.parametrize("format", ["json", "text", "auto"])
@pytest.mark.long
def test_secrets_are_in_no_field_and_no_traceback(format: str) -> None:
    """In each format and each part of a record; `auto` without a terminal is JSON."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, format],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "pa55w0rd" not in done.stderr
    assert "https://h/p" in done.stderr and "ValueError" in done.stderr
    assert done.stderr.startswith("{") == (format != "text")


def test_text_has_colours_on_a_terminal_and_there_only() -> None:
    """A person at a terminal reads lines, not JSON."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", HOSTILE, "auto"], stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
        assert process.wait(60) == 0
    os.close(ours)

    assert b"\x1b[" in seen and b"pa55w0rd" not in seen
    assert not seen.startswith(b"{")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux's end of a terminal
        return b""


def test_each_line_of_a_request_has_its_ids(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of routes, of the error handler and of the access log share request id and trace id."""
    app = create_app(settings.changed(log_format="json"))

    @app.get("/slow-and-broken")
    def broken() -> None:
        logging.getLogger("resources.anything").warning("about to break")
        raise RuntimeError("broken")

    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"X-Request-Id": "mine-1", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    with TestClient(app, base_url=BASE_URL) as client:
        assert client.get("/slow-and-broken", headers=headers).status_code == 500
        client.get("/healthz")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    mine = [line for line in lines if line.get("request_id") == "mine-1"]
    assert [line["event"] for line in mine] == [
        "about to break",
        "request mine-1 failed",
        "GET /slow-and-broken 500",
    ]
    assert {line["trace_id"] for line in mine} == {trace_id}
    (other,) = [line for line in lines if line["event"] == "GET /healthz 200"]
    assert len(other["trace_id"]) == 32 and other["trace_id"] != trace_id
    assert other["request_id"] != "mine-1"


@pytest.mark.long
def test_our_lines_in_a_run_name_the_transcription_and_the_trace(
    graph: Graph,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This holds for what resources log while an asset is made."""
    monkeypatch.setenv("YTCAPTION_LOG_FORMAT", "json")
    key = graph.submit("http://127.0.0.1:1/nothing.mp3?token=s3cret")

    def logs_and_fails(*_: object, **__: object) -> None:
        logging.getLogger("resources.download.downloader").warning(
            "from %s", "http://u:s3cret@h/?a=s3cret"
        )
        raise MediaNotFound("There is nothing.")

    monkeypatch.setattr(Downloader, "captions_or_audio", logs_and_fails)
    result = graph.run(key, attempt=1)

    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    (line,) = [json.loads(line) for line in lines if "resources.download.downloader" in line]
    assert line["transcription_id"] == key
    assert line["run_id"] == result.run_id
    assert line["stage"] == "audio_download"
    assert line["trace_id"] == result.run_id.replace("-", "")
    assert line["event"] == "from http://h/"
