"""Turns a received file into a request for its transcription."""

from functools import partial

import anyio
from fastapi import Request
from pydantic import ValidationError

from api.long_work import WorkThreads
from api.transcriptions.idempotency import idempotency
from api.transcriptions.request_schemas import RequestOptions, UploadOptions
from api.transcriptions.submission import Submitter
from api.uploads.form import field_error, form_error
from api.uploads.stream import ReceivedBody, title_of
from resources.download.uploads import Uploads
from resources.transcriptions.rows import Submission
from ytcaption.domain.caller import Caller
from ytcaption.domain.media.media import MediaSource

MAX_CONCURRENT, MAX_CONCURRENT_PER_CALLER = 8, 4
"""Files that are inspected and stored at the same time."""

_PLACEHOLDER_SOURCE = MediaSource("upload-unknown", "upload")


class UploadIntake:
    """Accepts uploads in this process.

    Attributes:
        uploads: receives and stores the files.
    """

    def __init__(self, uploads: Uploads, submitter: Submitter) -> None:
        self.uploads = uploads
        self._submitter = submitter
        self._threads = WorkThreads(MAX_CONCURRENT, MAX_CONCURRENT_PER_CALLER)

    async def check(self, options: RequestOptions, key: str | None = None) -> None:
        """Check, before the file is received, that the request can be accepted.

        Args:
            options: as far as they are known by then.
            key: with an Idempotency-Key a repeated request is answered even while the intake is
                paused.

        Raises:
            InputError: these options cannot be carried out.
            IntakePaused, DatabaseUnavailable: not at the moment.
        """
        self._submitter.checked(options, _PLACEHOLDER_SOURCE)
        if key is None:
            await anyio.to_thread.run_sync(self._submitter.check_intake)

    async def submit(
        self, caller: Caller, body: ReceivedBody, options: RequestOptions, key: str | None = None
    ) -> Submission:
        """Inspect the file, store it, and submit the request for its transcription.

        Args:
            key: the request's Idempotency-Key; it covers the file's checksum, too.

        Raises:
            AudioError: the file has no audio that can be transcribed.
            and as `Uploads.keep` and `Submitter.submit`.
        """
        self._submitter.checked(options, _PLACEHOLDER_SOURCE)  # before its file is inspected
        idempotency_key = idempotency(key, options, body.file.sha256)

        def submit(source: MediaSource) -> Submission:
            return self._submitter.submit(
                caller, options, source=source, idempotency=idempotency_key
            )

        keep = partial(self.uploads.keep, body.file, title_of(body.name), submit)
        return await self._threads.run(caller, keep)


def options_of(request: Request, fields: list[tuple[str, str]]) -> UploadOptions:
    """Return the options from the query and the form's fields; empty fields are ignored.

    Raises:
        RequestValidationError: a field is wrong, unknown or repeated.
    """
    values: dict[str, str] = dict(request.query_params)
    seen: set[str] = set()
    for name, value in fields:
        if name in seen:
            raise field_error(name, "Send this field once")
        seen.add(name)
        if value:
            values[name] = value
    try:
        return UploadOptions.model_validate(values)
    except ValidationError as error:
        raise form_error(error) from None
