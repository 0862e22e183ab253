"""The HTTP status of each error."""

import pytest

from api.http.errors import SERVER_DETAIL, status_of, ytcaption_problem
from ytcaption.domain import errors
from ytcaption.domain.errors import YtcaptionError


def every_error() -> list[type[YtcaptionError]]:
    """Return all classes of the tree."""
    return [kind for kind in YtcaptionError.kinds() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_safe_body(kind: type[YtcaptionError]) -> None:
    """A client error is a 4xx with its message; a server error says nothing of its cause."""
    answer = ytcaption_problem(kind("at /srv/secret on db.internal"))

    assert answer.status_code == status_of(kind(""))
    assert answer.media_type == "application/problem+json"
    assert kind.code in bytes(answer.body).decode()
    if answer.status_code >= 500:
        assert b"/srv" not in answer.body and b"db.internal" not in answer.body
    if answer.status_code == 503:
        assert answer.headers["Retry-After"] == "5"


def test_input_errors_are_4xx_and_storage_errors_5xx() -> None:
    """Each family of errors has its status."""
    expected = {
        errors.InvalidUrl: 422,
        errors.UnknownModel: 422,
        errors.OptionsMismatch: 409,
        errors.TranscriptionNotFound: 404,
        errors.TranscriptionBusy: 409,
        errors.ResultNotReady: 409,
        errors.DatabaseUnavailable: 503,
        errors.ObjectCorrupt: 500,
        errors.SetupError: 503,
    }
    assert {kind: status_of(kind("")) for kind in expected} == expected
    assert all(detail.endswith(".") for detail in SERVER_DETAIL.values())
