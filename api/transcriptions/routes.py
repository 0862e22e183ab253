"""Request transcriptions, list them and read their status."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.auth.dependencies import AuthenticatorDep
from api.dependencies import PostgresDep, Reader, SettingsDep, Writer
from api.http.pagination import Limit
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    ENGLISH_ONLY,
    IDEMPOTENCY_MISMATCH,
    INTAKE_UNAVAILABLE,
    INVALID_URL,
    LINK_HEADER,
    LIST_ERRORS,
    LOCATION_HEADER,
    NO_STORE,
    OPTIONS_MISMATCH,
    PRIVATE_ADDRESS,
    RETRY_AFTER_HEADER,
    TRANSCRIPTION_ERASED,
    TRANSCRIPTION_NOT_FOUND,
    UNKNOWN_FIELD,
    UNKNOWN_LANGUAGE,
    UNKNOWN_MODEL,
    json_example,
    problem_response,
)
from api.transcriptions.batch import BatchRequest, BatchResponse, batch_view, parse_items
from api.transcriptions.dependencies import SubmitterDep, TranscriptionId, WatcherDep
from api.transcriptions.examples import (
    ACCEPTED,
    BATCH_EXAMPLE,
    BATCHED,
    CREATE_EXAMPLES,
    PAGE_EXAMPLE,
    STATUS_EXAMPLES,
)
from api.transcriptions.idempotency import IdempotencyHeader, idempotency
from api.transcriptions.listing import FilterDep, PositionDep, TranscriptionPage, page_view
from api.transcriptions.request_schemas import TranscriptionRequest
from api.transcriptions.schemas import AcceptedResponse, TranscriptionResponse
from api.transcriptions.view import Links, accepted, poll_again, status_view
from api.transcriptions.watch import MAX_WAIT_S, wait_until_final
from resources.transcriptions.listing import transcription_detail, transcription_page

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

_CREATE_ERRORS = (
    BODY_ERRORS
    | OPTIONS_MISMATCH
    | problem_response(
        422,
        (
            "unsupported_site",
            "This page of YouTube is no video. Give a link such as youtu.be/<id>.",
            "The page holds no media",
        ),
        INVALID_URL,
        (
            "playlist_url",
            "This link is a list of media. Give the link of one of them.",
            "The link is a list",
        ),
        PRIVATE_ADDRESS,
        UNKNOWN_MODEL,
        UNKNOWN_LANGUAGE,
        ENGLISH_ONLY,
        UNKNOWN_FIELD,
        IDEMPOTENCY_MISMATCH,
    )
)
_BATCH_ERRORS = (
    BODY_ERRORS
    | problem_response(
        413, ("body_too_large", "The body is larger than 4,096 KiB.", "The body is too large")
    )
    | problem_response(
        422,
        (
            "invalid_request",
            "The request is not valid. #/items: Field required.",
            "No items, or too many",
        ),
        IDEMPOTENCY_MISMATCH,
    )
)
_WAIT_ERRORS = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. query wait: Input should be less than or equal to 60.",
        "The wait is too long",
    ),
)


@router.post(
    "/transcriptions",
    status_code=202,
    operation_id="createTranscription",
    summary="Request a transcription",
    response_description="Accepted. Poll `status_url` after `Retry-After` seconds.",
    responses={
        **json_example(202, ACCEPTED, headers=LOCATION_HEADER | RETRY_AFTER_HEADER),
        **_CREATE_ERRORS,
        **INTAKE_UNAVAILABLE,
    },
)
async def create_transcription(
    request: Request,
    response: Response,
    body: Annotated[TranscriptionRequest, Body(openapi_examples=CREATE_EXAMPLES)],
    caller: Writer,
    submitter: SubmitterDep,
    key: IdempotencyHeader = None,
) -> AcceptedResponse:
    """Store the request and answer at once; the media is downloaded and transcribed afterwards.

    The same media item with the same options gets the same `id` and is transcribed once. A failed
    or canceled transcription is queued again.
    """
    submit = partial(submitter.submit, caller, body, idempotency=idempotency(key, body))
    return accepted(request, response, await run_in_threadpool(submit))


@router.post(
    "/transcriptions/batch",
    status_code=207,
    operation_id="createTranscriptions",
    summary="Request up to 1,000 transcriptions",
    response_description="The outcome of each item, in their order.",
    responses=json_example(207, BATCHED) | _BATCH_ERRORS | INTAKE_UNAVAILABLE,
)
async def create_transcriptions(
    request: Request,
    body: Annotated[BatchRequest, Body(examples=[BATCH_EXAMPLE])],
    caller: Writer,
    authenticator: AuthenticatorDep,
    submitter: SubmitterDep,
    key: IdempotencyHeader = None,
) -> BatchResponse:
    """Each item is like the body of a single request and is answered separately: a wrong item does
    not affect the others. The `status` of an item is 202, or that of its `problem`.

    An `Idempotency-Key` covers the whole batch, including its refusals.

    Each item counts as a request of this minute. A batch of more than half of the limit is accepted
    once a minute, and uses up what is left.
    """
    named = idempotency(key, body)
    earlier = None
    if named is not None:
        earlier = await run_in_threadpool(submitter.stored_answer, caller, named)
    if earlier is None:
        await authenticator.count_batch(request.scope, caller, len(body.items))

    def submit() -> BatchResponse:
        outcomes = earlier
        if outcomes is None:
            outcomes = submitter.submit_many(caller, parse_items(body), idempotency=named)
        return batch_view(request, outcomes)

    return await run_in_threadpool(submit)


router.add_api_route(
    "/transcriptions:batch",
    create_transcriptions,
    methods=["POST"],
    status_code=207,
    operation_id="createTranscriptionsOldPath",
    summary="Request up to 1,000 transcriptions (old path)",
    description="Old path of `/api/v1/transcriptions/batch`.",
    response_description="The outcome of each item, in their order.",
    responses=json_example(207, BATCHED) | _BATCH_ERRORS | INTAKE_UNAVAILABLE,
    deprecated=True,
)


@router.get(
    "/transcriptions",
    operation_id="listTranscriptions",
    summary="List your transcriptions",
    responses={
        **json_example(200, PAGE_EXAMPLE, headers=LINK_HEADER),
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
    """Return your transcriptions, the newest first, page by page: `next_url` leads to the next page
    and is null on the last. New requests do not shift the pages. All filters must match. An admin
    sees everybody's.
    """
    page = partial(transcription_page, postgres, caller, filter, after=after, limit=limit + 1)
    return page_view(
        request, response, await run_in_threadpool(page), limit, settings.runs.max_attempts
    )


@router.get(
    "/transcriptions/{id}",
    operation_id="getTranscription",
    summary="Get the status of a transcription",
    responses={
        200: {
            "content": {"application/json": {"examples": STATUS_EXAMPLES}},
            "headers": RETRY_AFTER_HEADER,
        },
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **_WAIT_ERRORS,
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
            le=MAX_WAIT_S,
            description="Seconds to wait for it to end before the response is sent.",
            examples=[30],
        ),
    ] = 0,
) -> TranscriptionResponse:
    """Return its state, its position in the queue, its progress in bytes or seconds of audio, and
    why it failed if it did.

    `Retry-After` is present for as long as something may still change.
    """
    read = partial(transcription_detail, postgres, id, caller)
    detail = await wait_until_final(request, watcher, caller, read, wait)
    response.headers.update(NO_STORE)
    poll_again(response, detail.transcription)
    return status_view(detail, Links.of(request, id), settings.runs.max_attempts)
