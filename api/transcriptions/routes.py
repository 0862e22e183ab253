"""Asking for transcriptions, and watching them."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.dependencies import PostgresDep, Reader, SettingsDep, Writer
from api.http.parameters import TranscriptionId
from api.responses import (
    BATCH_ERRORS,
    CREATE_ERRORS,
    DATABASE_UNAVAILABLE,
    INTAKE_UNAVAILABLE,
    LINK_HEADER,
    LIST_ERRORS,
    LOCATION_HEADER,
    NOT_FOUND,
    RETRY_AFTER_HEADER,
    WAIT_ERRORS,
)
from api.transcriptions.accepted import accepted, poll_again
from api.transcriptions.action_responses import ERASED
from api.transcriptions.batch import BatchAnswer, TranscriptionBatch, batch_view, read_items
from api.transcriptions.dependencies import SubmitterDep, WatcherDep
from api.transcriptions.examples import (
    ACCEPTED,
    BATCH_EXAMPLE,
    BATCHED,
    CREATE_EXAMPLES,
    PAGE_EXAMPLE,
    STATUS_EXAMPLES,
)
from api.transcriptions.idempotency import IdempotencyHeader, idempotency
from api.transcriptions.list_parameters import FilterDep, Limit, PositionDep
from api.transcriptions.list_view import TranscriptionPage, page_view
from api.transcriptions.long_poll import MAX_RETRY_AFTER_S, settled
from api.transcriptions.request_schemas import TranscriptionCreate
from api.transcriptions.schemas import TranscriptionAccepted, TranscriptionRead
from api.transcriptions.view import Links, status_view
from resources.transcriptions.listing import transcription_detail, transcription_page

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.post(
    "/transcriptions",
    status_code=202,
    operation_id="createTranscription",
    summary="Ask for a transcription",
    response_description="Kept. Look at `status_url` after `Retry-After` seconds.",
    responses={
        202: {
            "content": {"application/json": {"example": ACCEPTED}},
            "headers": LOCATION_HEADER | RETRY_AFTER_HEADER,
        },
        **CREATE_ERRORS,
        **INTAKE_UNAVAILABLE,
    },
)
async def create_transcription(
    request: Request,
    response: Response,
    asked: Annotated[TranscriptionCreate, Body(openapi_examples=CREATE_EXAMPLES)],
    caller: Writer,
    submitter: SubmitterDep,
    key: IdempotencyHeader = None,
) -> TranscriptionAccepted:
    """Keeps the request and answers at once; downloading and transcribing come after.

    Asking again for the same media with the same options gives the same `id` and shares the work;
    what failed or was canceled is queued anew.
    """
    submit = partial(submitter.submit, caller, asked, idempotency=idempotency(key, asked))
    return accepted(request, response, await run_in_threadpool(submit))


@router.post(
    "/transcriptions:batch",
    status_code=207,
    operation_id="createTranscriptions",
    summary="Ask for up to 1,000 transcriptions",
    response_description="What became of each item, in their order.",
    responses={
        207: {"content": {"application/json": {"example": BATCHED}}},
        **BATCH_ERRORS,
        **INTAKE_UNAVAILABLE,
    },
)
async def create_transcriptions(
    request: Request,
    asked: Annotated[TranscriptionBatch, Body(examples=[BATCH_EXAMPLE])],
    caller: Writer,
    submitter: SubmitterDep,
    key: IdempotencyHeader = None,
) -> BatchAnswer:
    """Each item is as the body of a request of its own, and is answered for itself: one that is
    wrong takes nothing from the others. `status` of an item is 202, or its `problem`'s.

    An `Idempotency-Key` is the whole batch's, with its refusals.
    """

    def submit() -> BatchAnswer:
        answers = submitter.submit_many(
            caller, read_items(asked), idempotency=idempotency(key, asked)
        )
        return batch_view(request, answers)

    return await run_in_threadpool(submit)


@router.get(
    "/transcriptions",
    operation_id="listTranscriptions",
    summary="Your transcriptions, the newest first",
    responses={
        200: {"content": {"application/json": {"example": PAGE_EXAMPLE}}, "headers": LINK_HEADER},
        **LIST_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
)
async def list_transcriptions(
    request: Request,
    response: Response,
    caller: Reader,
    settings: SettingsDep,
    postgres: PostgresDep,
    filter: FilterDep,
    after: PositionDep,
    limit: Limit = 50,
) -> TranscriptionPage:
    """Page by page: `next_url` leads to the next one, and is null on the last. What is asked for
    meanwhile moves no page. Filters hold together; an admin's list is everybody's.
    """
    page = partial(transcription_page, postgres, caller, filter, after=after, limit=limit + 1)
    return page_view(request, response, await run_in_threadpool(page), limit, settings.max_attempts)


@router.get(
    "/transcriptions/{id}",
    operation_id="getTranscription",
    summary="Where a transcription stands",
    responses={
        200: {
            "content": {"application/json": {"examples": STATUS_EXAMPLES}},
            "headers": RETRY_AFTER_HEADER,
        },
        **NOT_FOUND,
        **ERASED,
        **WAIT_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
)
async def read_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    caller: Reader,
    settings: SettingsDep,
    postgres: PostgresDep,
    watcher: WatcherDep,
    wait: Annotated[
        int,
        Query(
            ge=0,
            le=MAX_RETRY_AFTER_S,
            description="Seconds to wait for the end; the answer comes with it, or after them.",
            examples=[30],
        ),
    ] = 0,
) -> TranscriptionRead:
    """State, place in the queue, progress in bytes or seconds of audio, and why it failed if it
    did.

    `Retry-After` is sent as long as something may still change.
    """
    look = partial(transcription_detail, postgres, id, caller)
    detail = await settled(request, watcher, caller, look, wait)
    response.headers["Cache-Control"] = "no-store"
    poll_again(response, detail.transcription)
    return status_view(detail, Links.of(request, id), settings.max_attempts)
