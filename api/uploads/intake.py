"""A file that has come in -> a request for its transcription, like any other."""

import anyio
from fastapi import Request
from pydantic import ValidationError

from api.transcriptions.idempotency import idempotency
from api.transcriptions.request_schemas import OptionsAsked, UploadOptions
from api.transcriptions.submission import Submitter
from api.uploads.form import field_error, form_error
from api.uploads.stream import Received, title_of
from resources.download.uploads import Uploads
from resources.transcriptions.rows import Submission
from ytcaption.domain.caller import Caller
from ytcaption.domain.media.media import MediaSource

MOST_AT_ONCE = 8
"""Files that are looked at and stored at the same time, so that routes keep their threads."""

_NO_SOURCE_YET = MediaSource("upload-unknown", "upload")


class UploadIntake:
    """Takes uploads on, one process's.

    Attributes:
        uploads: where they are received.
    """

    def __init__(self, uploads: Uploads, submitter: Submitter) -> None:
        self.uploads = uploads
        self._submitter = submitter
        self._limiter = anyio.CapacityLimiter(MOST_AT_ONCE)

    async def check(self, asked: OptionsAsked, key: str | None = None) -> None:
        """Before the file: whether it is worth receiving.

        Args:
            asked: as far as it is known by then.
            key: with an Idempotency-Key, who repeats is answered even when nothing new is taken.

        Raises:
            InputError: these options cannot be carried out.
            IntakePaused, DatabaseUnavailable: not now.
        """
        self._submitter.checked(asked, _NO_SOURCE_YET)
        if key is None:
            await anyio.to_thread.run_sync(self._submitter.check_intake)

    async def take(
        self, caller: Caller, body: Received, asked: OptionsAsked, key: str | None = None
    ) -> Submission:
        """Look at the file, store it, and ask for its transcription.

        Args:
            key: the request's Idempotency-Key; the file's checksum is a part of what it stands for.

        Raises:
            AudioError: nothing that can be heard.
            and as `Uploads.keep` and `Submitter.submit`.
        """
        self._submitter.checked(asked, _NO_SOURCE_YET)  # before its file is looked at
        kept = idempotency(key, asked, body.file.sha256)

        def submit(source: MediaSource) -> Submission:
            return self._submitter.submit(caller, asked, source=source, idempotency=kept)

        return await anyio.to_thread.run_sync(
            self.uploads.keep, body.file, title_of(body.name), submit, limiter=self._limiter
        )


def options_of(request: Request, fields: list[tuple[str, str]]) -> UploadOptions:
    """The options in the query and in a form's fields; empty fields are left out.

    Raises:
        RequestValidationError: a field is wrong, unknown, or there twice.
    """
    given: dict[str, str] = dict(request.query_params)
    seen: set[str] = set()
    for name, value in fields:
        if name in seen:
            raise field_error(name, "Give this field once")
        seen.add(name)
        if value:
            given[name] = value
    try:
        return UploadOptions.model_validate(given)
    except ValidationError as error:
        raise form_error(error) from None
