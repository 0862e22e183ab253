"""`ytcaption keys create|list|rotate|revoke`, on the database itself."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import Result
from typer.testing import CliRunner

from resources.auth.api_keys import ApiKeys, parse_token
from ytcaption.domain.caller import Limits
from ytcaption.domain.errors import ApiKeyNotFound, InputError, InvalidOption
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app


@pytest.fixture
def ytcaption(settings: Settings) -> Callable[..., Result]:
    """Return a function that runs the command and raises its errors."""

    def run(*arguments: str) -> Result:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def keys(settings: Settings) -> ApiKeys:
    """The keys that the commands change."""
    return ApiKeys.from_settings(settings)


def test_create_shows_the_key_once(ytcaption, keys: ApiKeys):
    """The key is alone on standard output, so that it can be piped; messages go to stderr."""
    result = ytcaption("keys", "create", "newsroom")
    token = result.stdout.strip()
    parsed = parse_token(token)
    assert parsed is not None
    row = keys.all()[0]
    assert (row.id, row.name, row.scopes) == (parsed[0], "newsroom", ("read", "write"))
    assert row.expires_at is None and row.limits == Limits()
    assert "shown only this once" in result.stderr
    assert parsed[1] not in result.stderr
    assert parsed[1] not in ytcaption("keys", "list").output


def test_create_takes_scopes_limits_and_an_expiry(ytcaption, keys: ApiKeys):
    """The key has them as given, and the list shows them."""
    ytcaption(
        *("keys", "create", "[red]boss", "--scope", "read", "--scope", "admin"),
        *("--expires", "90d", "--requests-per-minute", "60"),
        *("--concurrent-transcriptions", "5", "--audio-minutes-per-day", "600"),
    )
    row = keys.all()[0]
    assert (row.scopes, row.limits) == (("read", "admin"), Limits(60, 5, 600))
    assert row.expires_at is not None
    assert timedelta(days=89) < row.expires_at - row.created_at <= timedelta(days=90)
    listed = ytcaption("keys", "list").stdout
    for text in ("[red]boss", row.id, "60 requests/min", "5 unfinished", "600 audio min/day"):
        assert text in listed
    narrow = CliRunner(env={"COLUMNS": "60"}).invoke(app, ["keys", "list"]).stdout
    assert row.id in narrow  # so that it can be copied
    assert f"until {row.expires_at:%Y-%m-%d}" in listed and "never" in listed


def test_wrong_usage_is_refused(ytcaption, keys: ApiKeys):
    """The exit status is 2, and no key is created."""
    for arguments in (("--scope", "root"), ("--expires", "soon"), ("--expires", "-1d")):
        with pytest.raises(InvalidOption):
            ytcaption("keys", "create", "x", *arguments)
    assert issubclass(InvalidOption, InputError)
    assert ytcaption("keys", "create", "x", "--requests-per-minute", "0").exit_code == 2
    assert not keys.any_exist()


def test_rotate_shows_another_secret(ytcaption, keys: ApiKeys):
    """It is alone on standard output; the id stays."""
    made = keys.create("one", ["read"])
    result = ytcaption("keys", "rotate", made.row.id)
    parsed = parse_token(result.stdout.strip())
    assert parsed is not None and parsed[0] == made.row.id
    assert keys.all()[0].secret_sha256 != made.row.secret_sha256


@pytest.mark.long
def test_revoke_ends_a_key(ytcaption, keys: ApiKeys):
    """It takes the id or the whole key; the row stays unless --forget is given."""
    made, other = keys.create("one", ["read"]), keys.create("two", ["read"])
    assert made.row.id in ytcaption("keys", "revoke", made.row.id).stdout
    assert "revoked" in ytcaption("keys", "list").stdout
    result = ytcaption("keys", "revoke", other.token)
    assert other.token.split("_")[2] not in result.output
    assert all(row.revoked_at for row in keys.all())
    for row in keys.all():
        ytcaption("keys", "revoke", row.id, "--forget")
    assert not keys.any_exist()
    assert "open to everyone on this machine" in ytcaption("keys", "list").stdout
    with pytest.raises(ApiKeyNotFound, match="keys list"):
        ytcaption("keys", "revoke", "nobody")
