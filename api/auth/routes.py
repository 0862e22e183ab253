"""Create, list, rotate and revoke API keys."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Path, Response

from api.auth.dependencies import AuthenticatorDep
from api.auth.schemas import ApiKeyCreatedResponse, ApiKeyList, ApiKeyRequest, ApiKeyResponse
from api.dependencies import Admin, ApiKeysDep
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    NO_STORE,
    json_example,
    problem_response,
)

router = APIRouter(prefix="/api/v1/admin", tags=["operation"])

KeyId = Annotated[
    str,
    Path(
        description="From the list of keys.",
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
_REQUEST = {
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
        "Unknown or revoked key",
    ),
)
_INVALID_ID = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. path id: String should match pattern '^[a-z2-7]{1,32}$'.",
        "The id is not of a key",
    ),
)


@router.get(
    "/keys",
    operation_id="listApiKeys",
    summary="List all API keys",
    responses=json_example(200, {"keys": [_KEY]}) | DATABASE_UNAVAILABLE,
)
def list_keys(caller: Admin, api_keys: ApiKeysDep, response: Response) -> ApiKeyList:
    """Return the names, scopes, limits and last use of all keys, without their secrets."""
    response.headers.update(NO_STORE)
    return ApiKeyList(keys=[ApiKeyResponse.of(row) for row in api_keys.all()])


@router.post(
    "/keys",
    status_code=201,
    operation_id="createApiKey",
    summary="Create an API key",
    response_description="Created. `key` is shown only this once.",
    responses=json_example(201, _CREATED)
    | BODY_ERRORS
    | problem_response(
        422,
        (
            "invalid_option",
            "A key's name has 1 to 100 printable characters.",
            "The name cannot be used",
        ),
        (
            "invalid_request",
            "The request is not valid. #/scopes/0: Input should be 'read', 'write' or 'admin'.",
            "A field is wrong",
        ),
    )
    | DATABASE_UNAVAILABLE,
)
async def create_key(
    body: Annotated[
        ApiKeyRequest, Body(openapi_examples={"newsroom": {"value": _REQUEST, "summary": "A key"}})
    ],
    caller: Admin,
    api_keys: ApiKeysDep,
    authenticator: AuthenticatorDep,
    response: Response,
) -> ApiKeyCreatedResponse:
    """Create a key. Once the first one exists, every request needs one."""
    days = body.expires_in_days
    created = await authenticator.key_cache.changed_by(
        lambda: api_keys.create(
            body.name,
            body.scopes,
            expires_in=None if days is None else timedelta(days=days),
            limits=body.limits.to_limits(),
        )
    )
    response.headers.update(NO_STORE)
    return ApiKeyCreatedResponse(**ApiKeyResponse.of(created.row).model_dump(), key=created.token)


@router.post(
    "/keys/{id}/rotate",
    operation_id="rotateApiKey",
    summary="Replace the secret of an API key",
    response_description="`key` is shown only this once; the previous one is refused.",
    responses=json_example(200, _CREATED) | _NOT_FOUND | _INVALID_ID | DATABASE_UNAVAILABLE,
)
async def rotate_key(
    id: KeyId,
    caller: Admin,
    api_keys: ApiKeysDep,
    authenticator: AuthenticatorDep,
    response: Response,
) -> ApiKeyCreatedResponse:
    """Replace the secret. The key keeps its id, its transcriptions, scopes, limits and expiry."""
    rotated = await authenticator.key_cache.changed_by(lambda: api_keys.rotate(id))
    response.headers.update(NO_STORE)
    return ApiKeyCreatedResponse(**ApiKeyResponse.of(rotated.row).model_dump(), key=rotated.token)


@router.delete(
    "/keys/{id}",
    operation_id="revokeApiKey",
    summary="Revoke an API key",
    responses=json_example(200, _KEY | {"revoked_at": "2026-11-24T13:00:00Z"})
    | _NOT_FOUND
    | _INVALID_ID
    | DATABASE_UNAVAILABLE,
)
async def revoke_key(
    id: KeyId,
    caller: Admin,
    api_keys: ApiKeysDep,
    authenticator: AuthenticatorDep,
    response: Response,
) -> ApiKeyResponse:
    """Revoke a key. This process refuses it at once, others within seconds. It stays listed."""
    row = await authenticator.key_cache.changed_by(lambda: api_keys.revoke(id))
    response.headers.update(NO_STORE)
    return ApiKeyResponse.of(row)
