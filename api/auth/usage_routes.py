"""`GET /api/v1/usage`: what a caller has used, and their limits."""

import asyncio

from fastapi import APIRouter, Response

from api.auth.dependencies import AuthenticatorDep
from api.auth.schemas import KeyLimits, RemainingRequests, UsageResponse
from api.dependencies import PostgresDep, Reader, SettingsDep
from api.responses import DATABASE_UNAVAILABLE, NO_STORE, json_example
from resources.transcriptions.quotas import limits_of, usage_of
from ytcaption.domain.caller import SCOPES

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

_EXAMPLE = {
    "owner": "key:mfrggzdfmztwq2lk",
    "scopes": ["read", "write"],
    "requests": {"limit": 60, "remaining": 57, "reset_s": 12},
    "unfinished_transcriptions": 3,
    "audio_minutes_last_24_h": 128.4,
    "limits": {
        "requests_per_minute": 60,
        "concurrent_transcriptions": None,
        "audio_minutes_per_day": 600,
    },
}


@router.get(
    "/usage",
    operation_id="getUsage",
    summary="Get your usage and limits",
    responses=json_example(200, _EXAMPLE) | DATABASE_UNAVAILABLE,
)
async def read_usage(
    caller: Reader,
    settings: SettingsDep,
    authenticator: AuthenticatorDep,
    postgres: PostgresDep,
    response: Response,
) -> UsageResponse:
    """Return the requests left this minute, the unfinished transcriptions, the audio of the last 24
    hours, and the limits.

    On an installation without keys nothing is limited.
    """
    limits = limits_of(caller, settings)
    left = None if limits is None else await authenticator.left(caller)
    use = await asyncio.to_thread(usage_of, postgres, caller.owner)
    response.headers.update(NO_STORE)
    return UsageResponse(
        owner=caller.owner,
        scopes=[scope for scope in SCOPES if scope in caller.scopes],
        requests=left
        and RemainingRequests(limit=left.limit, remaining=left.remaining, reset_s=left.reset_s),
        unfinished_transcriptions=use.unfinished,
        audio_minutes_last_24_h=round(use.audio_s / 60, 2),
        limits=KeyLimits() if limits is None else KeyLimits(**vars(limits)),
    )
