"""Making, listing and ending API keys."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Path, Response

from api.auth.dependencies import AuthenticatorDep
from api.auth.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyList, ApiKeyRead
from api.dependencies import Admin, ApiKeysDep
from api.responses import BODY_ERRORS, DATABASE_UNAVAILABLE, problem_response

router = APIRouter(prefix="/api/v1/admin", tags=["operation"])

KeyId = Annotated[
    str,
    Path(
        description="As the list has it.",
        pattern=r"^[a-z2-7]{1,32}$",
        examples=["mfrggzdfmztwq2lk"],
    ),
]

_KEY = {
    "id": "mfrggzdfmztwq2lk",
    "name": "newsroom",
    "prefix": "ytc_mfrggzdfmztwq2lk",
    "scopes": ["read", "write"],
    "limits": {
        "requests_per_minute": 60,
        "concurrent_transcriptions": None,
        "audio_minutes_per_day": 600,
    },
    "created_at": "2026-11-24T10:00:00Z",
    "expires_at": "2027-02-22T10:00:00Z",
    "revoked_at": None,
    "last_used_at": "2026-11-24T12:31:00Z",
}
_CREATED = _KEY | {
    "key": "ytc_mfrggzdfmztwq2lk_gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
    "last_used_at": None,
}
_CREATE = {
    "name": "newsroom",
    "scopes": ["read", "write"],
    "expires_in_days": 90,
    "limits": {"requests_per_minute": 60, "audio_minutes_per_day": 600},
}
_NOT_FOUND = problem_response(
    404,
    (
        "api_key_not_found",
        "There is no such key, or it was revoked. `ytcaption keys list` shows their ids.",
        "No such key, or a revoked one",
    ),
)
_WRONG_ID = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. path id: String should have at most 100 characters.",
        "An id that no key has",
    ),
)
_NO_STORE = {"Cache-Control": "no-store"}


@router.get(
    "/keys",
    operation_id="listApiKeys",
    summary="All API keys",
    responses={200: {"content": {"application/json": {"example": {"keys": [_KEY]}}}}}
    | DATABASE_UNAVAILABLE,
)
def list_keys(caller: Admin, api_keys: ApiKeysDep, response: Response) -> ApiKeyList:
    """Who may use the API: names, scopes, limits, last use. No secret is among it."""
    response.headers.update(_NO_STORE)
    return ApiKeyList(keys=[ApiKeyRead.of(row) for row in api_keys.all()])


@router.post(
    "/keys",
    status_code=201,
    operation_id="createApiKey",
    summary="Make an API key",
    response_description="Made. `key` is shown this once.",
    responses={201: {"content": {"application/json": {"example": _CREATED}}}}
    | BODY_ERRORS
    | problem_response(
        422,
        ("invalid_option", "A key's name has 1 to 100 printable characters.", "A name of no use"),
        (
            "invalid_request",
            "The request is not valid. #/scopes/0: Input should be 'read', 'write' or 'admin'.",
            "A field is wrong",
        ),
    )
    | DATABASE_UNAVAILABLE,
)
async def create_key(
    asked: Annotated[
        ApiKeyCreate, Body(openapi_examples={"newsroom": {"value": _CREATE, "summary": "A key"}})
    ],
    caller: Admin,
    api_keys: ApiKeysDep,
    door: AuthenticatorDep,
    response: Response,
) -> ApiKeyCreated:
    """A new key. From the first one on every request needs one."""
    days = asked.expires_in_days
    made = await door.key_ring.changed_by(
        lambda: api_keys.create(
            asked.name,
            asked.scopes,
            expires_in=None if days is None else timedelta(days=days),
            limits=asked.limits.to_limits(),
        )
    )
    response.headers.update(_NO_STORE)
    return ApiKeyCreated(**ApiKeyRead.of(made.row).model_dump(), key=made.token)


@router.post(
    "/keys/{id}/rotate",
    operation_id="rotateApiKey",
    summary="Give an API key another secret",
    response_description="`key` is shown this once; the one before is refused.",
    responses={200: {"content": {"application/json": {"example": _CREATED}}}}
    | _NOT_FOUND
    | _WRONG_ID
    | DATABASE_UNAVAILABLE,
)
async def rotate_key(
    id: KeyId, caller: Admin, api_keys: ApiKeysDep, door: AuthenticatorDep, response: Response
) -> ApiKeyCreated:
    """The key stays the same for all that was asked for with it, and keeps scopes, limits, end."""
    made = await door.key_ring.changed_by(lambda: api_keys.rotate(id))
    response.headers.update(_NO_STORE)
    return ApiKeyCreated(**ApiKeyRead.of(made.row).model_dump(), key=made.token)


@router.delete(
    "/keys/{id}",
    operation_id="revokeApiKey",
    summary="End an API key",
    responses={
        200: {
            "content": {
                "application/json": {"example": _KEY | {"revoked_at": "2026-11-24T13:00:00Z"}}
            }
        }
    }
    | _NOT_FOUND
    | _WRONG_ID
    | DATABASE_UNAVAILABLE,
)
async def revoke_key(
    id: KeyId, caller: Admin, api_keys: ApiKeysDep, door: AuthenticatorDep, response: Response
) -> ApiKeyRead:
    """Here it is refused at once, by other processes within seconds. Its row stays on the list."""
    row = await door.key_ring.changed_by(lambda: api_keys.revoke(id))
    response.headers.update(_NO_STORE)
    return ApiKeyRead.of(row)
