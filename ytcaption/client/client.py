"""`Client`: everything that the REST API offers, typed."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack
from urllib.parse import quote

import httpx

from ytcaption.client.channels import Channels
from ytcaption.client.errors import ApiError, ServerUnreachable, UnexpectedAnswer, WaitTimeout
from ytcaption.client.events import followed
from ytcaption.client.files import OnProgress, file_blocks, file_size, saved
from ytcaption.client.models import (
    Accepted,
    Anew,
    Batch,
    Canceled,
    Event,
    HistoryEvent,
    HistoryPage,
    MediaVersions,
    Page,
    Progress,
    Refusal,
    Transcription,
    Usage,
    read_as,
)
from ytcaption.client.options import (
    PAGE,
    Asked,
    Sought,
    Wanted,
    list_parameters,
    search_parameters,
    upload_parameters,
)
from ytcaption.client.pages import pages
from ytcaption.client.search_models import Found, SearchResults
from ytcaption.client.transport import Call, Transport
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.captions.formats import CaptionFormat
from ytcaption.domain.transcripts.transcript import Transcript

if TYPE_CHECKING:
    pass


BATCH = 1_000
UPLOAD_ANSWER_S = 600.0
"""The server looks at a file before it answers."""


class Client:
    """One server. Threads may share it.

    Attributes:
        channels: subscriptions.

    What is lost on the way is asked again where that changes nothing, as is what the server answers
    with 429 or 503, for a minute at most. Every method raises

        ApiError: the server refused, with its stable code and the detail for a person.
        ServerUnreachable: no answer.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            base_url: such as `http://127.0.0.1:8000`.
            api_key: `ytc_...` or a JWT; None where the server asks for none.
            transport: httpx's own, for a proxy or other certificates.

        Raises:
            InvalidUrl: `base_url` is no address of a server.
        """
        self._transport = Transport(base_url, api_key, transport)
        self.channels = Channels(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._transport.close()

    def submit(
        self,
        source: str | Path,
        *,
        idempotency_key: str | None = None,
        on_progress: OnProgress | None = None,
        **asked: Unpack[Asked],
    ) -> Accepted:
        """Ask for a transcription; the answer comes at once.

        Args:
            source: a link, or the path of a file, which is uploaded.
            idempotency_key: makes repeating this call safe for 24 hours; one is made if left out.
            on_progress: bytes of a file that were sent, of all.

        Raises:
            FileUnreadable: there is no such file.
        """
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        given = {name: value for name, value in asked.items() if value is not None}
        if isinstance(source, Path):
            return self._upload(source, given, headers, on_progress)
        call = Call("POST", "/api/v1/transcriptions", json={"url": source} | given, headers=headers)
        return read_as(Accepted, self._transport.send(call))

    def batch(self, asked: Iterable[Mapping[str, Any]]) -> Iterator[Accepted | Refusal]:
        """Ask for many at once, each with its own answer, in the order given.

        Args:
            asked: each a `url` and what else `submit` takes.
        """
        waiting = iter(asked)
        while some := [dict(one) for one in islice(waiting, BATCH)]:
            call = Call(
                "POST",
                "/api/v1/transcriptions:batch",
                json={"items": some},
                headers={"Idempotency-Key": str(uuid.uuid4())},
            )
            for item in read_as(Batch, self._transport.send(call)).items:
                yield item.answer

    def get(self, id: str, *, wait_s: int | None = None) -> Transcription:
        """Where a transcription stands.

        Args:
            wait_s: for its end, at the server, before it answers; 60 at most.
        """
        timeout_s = None if wait_s is None else wait_s + 30.0
        call = Call("GET", _path(id), params={"wait": wait_s}, timeout_s=timeout_s)
        return read_as(Transcription, self._transport.send(call))

    def wait(
        self,
        id: str,
        *,
        timeout_s: float | None = None,
        on_change: Callable[[Transcription], None] = lambda _: None,
    ) -> Transcription:
        """The transcription once it is completed, failed or canceled.

        By server-sent events, taken up again where they break off; where none come through, by
        asking.

        Args:
            timeout_s: None waits for as long as it takes.
            on_change: told of each change, the last one included.

        Raises:
            WaitTimeout: it is not over after `timeout_s`, and goes on.
        """
        for seen in changes_of(self, id, timeout_s):
            on_change(seen)
            if seen.status.is_final:
                return seen
        raise AssertionError("a wait ends with a final state or an error")

    def events(self, id: str, *, last_event_id: str | None = None) -> Iterator[Event]:
        """State, progress and text as they come, until the end, over as many connections as needed.

        Args:
            last_event_id: of an earlier stream, to go on behind it.
        """
        return followed(self._transport, f"{_path(id)}/events", last_event_id)

    def result(
        self,
        id: str,
        format: CaptionFormat | str = CaptionFormat.JSON,
        *,
        max_line_length: int | None = None,
        max_lines: int | None = None,
    ) -> str:
        """The captions or the transcript, in one of the server's formats."""
        params = {
            "format": str(format),
            "max_line_length": max_line_length,
            "max_lines": max_lines,
        }
        call = Call("GET", f"{_path(id)}/result", params=params)
        return self._transport.send(call).content.decode()

    def transcript(self, id: str) -> Transcript:
        """The whole document: segments, words with times, provenance."""
        return Transcript.from_json(self.result(id).encode())

    def audio(self, id: str, path: Path, *, on_progress: OnProgress | None = None) -> Path:
        """The media's stored audio, as a file at `path`, in place of one that is there.

        A connection that breaks is taken up again where it was.

        Raises:
            FileUnreadable: the file cannot be written.
        """
        return saved(self._transport, f"{_path(id)}/audio", path, on_progress)

    def media(self, media_id: str) -> MediaVersions:
        """A media, and which of one's transcriptions of it was completed last."""
        return read_as(MediaVersions, self._transport.send(Call("GET", _media_path(media_id))))

    def versions(self, media_id: str) -> Iterator[Transcription]:
        """One's transcriptions of a media, newest first, page by page as they are read."""
        address = f"{_media_path(media_id)}/transcripts"
        for page in pages(self._transport, Page, address, {"limit": PAGE}):
            yield from page.items

    def latest(self, media_id: str, format: CaptionFormat | str = CaptionFormat.JSON) -> str:
        """The result of the transcription of a media that was completed last."""
        address = f"{_media_path(media_id)}/transcripts/latest"
        call = Call("GET", address, params={"format": str(format)})
        return self._transport.send(call).content.decode()

    def retranscribe(
        self,
        where: str | None = None,
        *,
        changed: bool = False,
        model: str | None = None,
        language: str | None = None,
        captions: CaptionsPolicy | None = None,
        dry_run: bool = False,
    ) -> Iterator[Anew]:
        """Have everything that fits made anew; answer by answer until all is looked at.

        Args:
            where: such as `model = 'base' and created_at < '2026-06-01'`.
            changed: only what has other audio at its source since.
            model: another one.
            language: another one.
            captions: another policy.
            dry_run: only tell what would be made.
        """
        asked: dict[str, Any] = {
            "where": where,
            "changed": changed,
            "model": model,
            "language": language,
            "captions": captions,
            "dry_run": dry_run,
        }
        cursor: str | None = None
        while True:
            # Sent again it asks for nothing twice.
            call = Call("POST", "/api/v1/retranscriptions", json=asked | {"cursor": cursor})
            answer = read_as(Anew, self._transport.send(call))
            yield answer
            cursor = answer.next_cursor
            if cursor is None:
                return

    def cancel(self, id: str) -> Canceled:
        """Stop what is queued or running; where others asked for it too, it goes on for them."""
        return read_as(Canceled, self._transport.send(Call("POST", f"{_path(id)}/cancel")))

    def retry(self, id: str, *, force: bool = False) -> Transcription:
        """Queue anew what failed or was canceled.

        Args:
            force: what is completed, too: downloaded and transcribed anew.
        """
        call = Call(
            "POST", f"{_path(id)}/retry", params={"force": force or None}, repeatable=not force
        )
        return read_as(Transcription, self._transport.send(call))

    def keep(self, id: str, keep: bool = True) -> Transcription:
        """Have it and its audio stay whatever their age, or no longer."""
        call = Call("PATCH", _path(id), json={"keep": keep})
        return read_as(Transcription, self._transport.send(call))

    def delete(self, id: str, *, force: bool = False) -> None:
        """Erase a transcription and all that was made of it.

        Args:
            force: even while a run works on it.
        """
        self._transport.send(Call("DELETE", _path(id), params={"force": force or None}))

    def list(self, **wanted: Unpack[Wanted]) -> Iterator[Transcription]:
        """One's transcriptions, newest first, page by page as they are read."""
        for page in pages(self._transport, Page, "/api/v1/transcriptions", list_parameters(wanted)):
            yield from page.items

    def search_page(
        self, text: str, *, limit: int = 10, cursor: str | None = None, **sought: Unpack[Sought]
    ) -> SearchResults:
        """Media in which something was said, with counts of all that was found."""
        params = search_parameters(text, sought) | {"limit": limit, "cursor": cursor}
        return read_as(
            SearchResults, self._transport.send(Call("GET", "/api/v1/search", params=params))
        )

    def search(self, text: str, **sought: Unpack[Sought]) -> Iterator[Found]:
        """Media in which something was said, the best first, page by page as they are read."""
        params = search_parameters(text, sought) | {"facets": False}
        for page in pages(self._transport, SearchResults, "/api/v1/search", params):
            yield from page.items

    def history(self, id: str) -> Iterator[HistoryEvent]:
        """What happened to a transcription, the first thing first, page by page as it is read."""
        for page in pages(self._transport, HistoryPage, f"{_path(id)}/history", {"limit": PAGE}):
            yield from page.items

    def usage(self) -> Usage:
        """What the key has used of what it may."""
        return read_as(Usage, self._transport.send(Call("GET", "/api/v1/usage")))

    def view(self, name: str, **given: str | int | float | date) -> Sequence[dict[str, Any]]:
        """Return the rows of one of the lake's views; docs/reference/lake.md lists them.

        Args:
            given: the view's parameters; `limit` is the most rows.
        """
        params = {parameter: str(value) for parameter, value in given.items()}
        call = Call("GET", f"/api/v1/analytics/{quote(name, safe='')}", params=params)
        return self._transport.send(call).json()["rows"]

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, limit: int | None = None
    ) -> Sequence[dict[str, Any]]:
        """The rows of one SELECT over the lake's tables, of what the key has asked for.

        Args:
            parameters: values of `$name` in it.
        """
        call = Call(
            "POST",
            "/api/v1/analytics/query",
            params={"limit": limit},
            json={"sql": sql, "parameters": dict(parameters or {})},
        )
        return self._transport.send(call).json()["rows"]

    def _upload(
        self,
        path: Path,
        asked: Mapping[str, Any],
        headers: Mapping[str, str],
        on_progress: OnProgress | None,
    ) -> Accepted:
        size_bytes = file_size(path)
        call = Call(
            "POST",
            "/api/v1/uploads",
            params=upload_parameters(asked, path.name),
            body=lambda: file_blocks(path, size_bytes, on_progress),
            headers=dict(headers)
            | {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)},
            timeout_s=UPLOAD_ANSWER_S,
        )
        return read_as(Accepted, self._transport.send(call))


def _media_path(media_id: str) -> str:
    return f"/api/v1/media/{quote(media_id, safe='')}"


def _path(id: str) -> str:
    return f"/api/v1/transcriptions/{quote(id, safe='')}"


LONG_POLL_S = 5
"""The server answers when it is over, or after so long: then there is progress to tell of."""

ASK_EVERY_S = 1.0
"""Of a server that answers at once, whatever it is asked to wait."""

PATIENCE_S = 60.0
"""For a server that is being restarted."""

NO_EVENTS = frozenset({404, 405, 406, 429, 501})
"""An older server, one behind a proxy that lets none through, or too many streams of this key."""


def changes_of(client: "Client", id: str, timeout_s: float | None) -> Iterator[Transcription]:
    """Each change, the first state included; ends with a final one.

    Raises:
        WaitTimeout: it is not over in time.
        ApiError: there is no such transcription, or none any more.
    """
    if timeout_s is not None:  # between two events nothing would look at the clock
        yield from _asked(client, id, time.monotonic() + timeout_s, LONG_POLL_S)
        return
    now = client.get(id)
    yield now
    if now.status.is_final:
        return
    wait_s = LONG_POLL_S
    try:
        for event in client.events(id):
            if event.type == "progress":
                progress = Progress.model_validate(event.data)
                now = now.model_copy(update={"progress": progress})
            elif event.type == "segment":
                continue
            else:
                now = _patiently(client, id, None)
            yield now
            if now.status.is_final:
                return
    except ApiError as error:
        if error.status not in NO_EVENTS and error.status < 500:
            raise
        wait_s = 0 if error.status == 429 else LONG_POLL_S  # they are counted together
    except (ServerUnreachable, UnexpectedAnswer):
        pass  # a proxy's page, or one that keeps the events back
    yield from _asked(client, id, None, wait_s)


def _asked(
    client: "Client", id: str, deadline: float | None, wait_s: int
) -> Iterator[Transcription]:
    while True:
        began = time.monotonic()
        left_s = wait_s if deadline is None else max(0, int(deadline - began))
        now = _patiently(client, id, min(wait_s, left_s) or None)
        yield now
        if now.status.is_final:
            return
        took_s = time.monotonic() - began
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeout(f"{id} is {now.status.value} still. It goes on at the server.")
        if took_s < ASK_EVERY_S:
            time.sleep(ASK_EVERY_S - took_s)


def _patiently(client: "Client", id: str, wait_s: int | None) -> Transcription:
    lost_at = time.monotonic()
    while True:
        try:
            return client.get(id, wait_s=wait_s)
        except ServerUnreachable:
            if time.monotonic() - lost_at > PATIENCE_S:
                raise
            time.sleep(ASK_EVERY_S)
