"""Receives a request's body into a file on disk, whatever its size, in bounded memory."""

import asyncio
import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import anyio
from fastapi import Request
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.http.content_disposition import sent_file_name
from api.uploads.form import MAX_FIELD_BYTES, FormReader
from resources.download.uploads import IncomingFile, Uploads, check_size

IDLE_S = 60.0
"""A client that sends nothing for this long is disconnected."""

_BATCH_BYTES = 1024 * 1024
"""Bytes handled by one step on a thread, so that parsing and writing never block the event loop."""

_FORM_BYTES = MAX_FIELD_BYTES + 128 * 1024
"""Bytes that a form may have beside its file: fields, headers, boundaries, epilogue."""

MAX_TITLE_LENGTH = 200

_MAX_NAME_LENGTH = 2 * MAX_TITLE_LENGTH
"""Of a longer name only the beginning and the end are normalised: the time for marks that combine
grows with the square of their number."""


@dataclass(frozen=True)
class ReceivedBody:
    """A body that has arrived completely.

    Attributes:
        file: exists as long as the context of `receive_body` lasts.
        name: as the sender calls the file.
        fields: the form's text fields; none for a bare file.
    """

    file: IncomingFile
    name: str | None
    fields: list[tuple[str, str]]


@asynccontextmanager
async def receive_body(
    request: Request, uploads: Uploads, *, form_only: bool = False
) -> AsyncIterator[ReceivedBody]:
    """Yield a multipart form or a bare file. No file remains when the context ends, even on errors.

    Raises:
        UploadTooLarge: before the body is read if Content-Length says so, else as it arrives.
        MalformedUpload, RequestValidationError: the form cannot be parsed.
        HTTPException: 408, or 415 for a bare file with `form_only`.
    """
    content_type = request.headers.get("content-type", "")
    is_form = content_type.partition(";")[0].strip().lower() == "multipart/form-data"
    if form_only and not is_form:
        raise HTTPException(415, "Send the body as multipart/form-data, with the file in `file`.")
    overhead_bytes = _FORM_BYTES if is_form else 0
    length = request.headers.get("content-length", "")
    announced_bytes = int(length) if length.isascii() and length.isdigit() else 0
    check_size(announced_bytes - overhead_bytes, uploads.max_bytes)
    async with contextmanager_in_threadpool(uploads.incoming(announced_bytes)) as file:
        form = FormReader(content_type, file.write) if is_form else None
        write = form.feed if form else file.write
        received_bytes = 0
        async with aclosing(_batches(request)) as batches:
            async for batch in batches:
                received_bytes += len(batch)
                check_size(received_bytes - overhead_bytes, uploads.max_bytes)
                await anyio.to_thread.run_sync(write, batch)
        if form is None:
            yield ReceivedBody(file, _name_of(request), [])
        else:
            form.finish()
            yield ReceivedBody(file, form.file_name, form.fields)


async def _batches(request: Request) -> AsyncGenerator[bytes]:
    batch = bytearray()
    chunks = request.stream()
    try:
        while True:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            batch += chunk
            if len(batch) >= _BATCH_BYTES:
                yield bytes(batch)
                batch.clear()
    except TimeoutError:
        raise HTTPException(
            408, f"Nothing arrived for {IDLE_S:g} s. Send the file again.", {"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise HTTPException(400, "The client disconnected.") from None  # nobody reads it
    if batch:
        yield bytes(batch)


def _name_of(request: Request) -> str | None:
    """Return the file's name: `filename` of the query, else of `Content-Disposition` (RFC 6266)."""
    if name := request.query_params.get("filename"):
        return name
    header = request.headers.get("content-disposition")
    return None if header is None else sent_file_name(header)


def title_of(name: str | None) -> str | None:
    """Return a title from a file's name: without folder, extension and control characters."""
    last = (name or "").replace("\\", "/").rstrip("/").rpartition("/")[2]
    if len(last) > 2 * _MAX_NAME_LENGTH:
        last = last[:_MAX_NAME_LENGTH] + last[-_MAX_NAME_LENGTH:]  # the extension stays
    shown = "".join(
        char if unicodedata.category(char)[0] != "C" else " "
        for char in unicodedata.normalize("NFC", last)
    )
    stem, dot, _ = shown.rpartition(".")
    title = " ".join((stem if dot and stem.strip(". ") else shown).split()).strip(". ")
    return title[:MAX_TITLE_LENGTH].strip() or None
