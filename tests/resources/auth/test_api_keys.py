"""API keys: what is stored, and when they end."""

from datetime import UTC, datetime, timedelta

import pytest

from resources.auth.api_keys import ApiKeys, parse_span, parse_token, secret_sha256
from resources.auth.bind_check import check_bind
from resources.channels.due import due_channels
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from tests.support.channel_lists import plan, source
from ytcaption.domain.caller import Limits
from ytcaption.domain.errors import ApiKeyNotFound, InvalidOption, SetupError
from ytcaption.settings.settings import Settings


@pytest.fixture
def keys(settings: Settings) -> ApiKeys:
    """The store with the rights of the API, which are enough."""
    return ApiKeys.from_settings(settings, "api")


def test_a_key_is_an_id_and_160_random_bits(keys: ApiKeys) -> None:
    """It is `ytc_<id>_<secret>`; the beginning is for recognition."""
    made, other = keys.create("newsroom", ["read"]), keys.create("newsroom", ["read"])

    parsed = parse_token(made.token)
    assert parsed is not None and parsed[0] == made.row.id
    assert len(parsed[1]) * 5 == 160
    assert made.token.startswith(f"{made.row.prefix}_")
    assert made.token != other.token


def test_the_secret_is_not_stored(keys: ApiKeys, postgres: Postgres, settings: Settings) -> None:
    """Only its SHA-256 is; no column holds the secret."""
    made = keys.create("newsroom", ["write", "read"])
    parsed = parse_token(made.token)
    assert parsed is not None

    with Postgres.from_settings(settings, "admin").transaction() as connection:
        row = connection.execute("select * from ytcaption.api_key").fetchone()
    assert row is not None
    assert row["secret_sha256"] == secret_sha256(parsed[1])
    assert parsed[1] not in str(row)


def test_a_key_has_the_requested_properties(keys: ApiKeys) -> None:
    """It has the scopes in their fixed order, the limits and the end."""
    limits = Limits(60, 5, 600)
    row = keys.create(
        " newsroom ", ["admin", "read"], expires_in=timedelta(days=90), limits=limits
    ).row

    assert (row.name, row.scopes, row.limits) == ("newsroom", ("read", "admin"), limits)
    assert row.expires_at is not None
    assert abs(row.expires_at - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    assert row.caller.owner == f"key:{row.id}"
    assert keys.all() == [row]


@pytest.mark.parametrize(
    ("name", "scopes"),
    [("", ["read"]), (" ", ["read"]), ("a" * 101, ["read"]), ("a\nb", ["read"]), ("a\0", ["read"]),
     ("a", []), ("a", ["root"]), ("a", ["read", "root"])],
)  # fmt: skip
def test_invalid_names_and_scopes_are_refused(keys: ApiKeys, name: str, scopes: list[str]) -> None:
    """A name must be readable, and there must be at least one known scope."""
    with pytest.raises(InvalidOption):
        keys.create(name, scopes)
    assert not keys.any_exist()


def test_a_key_is_revoked_for_good(keys: ApiKeys) -> None:
    """Revoking it again keeps the time, and its row still counts as a key."""
    row = keys.create("newsroom", ["read"]).row
    assert row.is_valid_at(datetime.now(UTC))

    revoked = keys.revoke(row.id)

    assert not revoked.is_valid_at(datetime.now(UTC))
    assert keys.revoke(row.id) == revoked
    assert keys.any_exist()
    keys.delete(row.id)
    assert not keys.any_exist()
    with pytest.raises(ApiKeyNotFound, match="keys list"):
        keys.revoke(row.id)


def test_revoking_a_key_pauses_its_channels(keys: ApiKeys, settings: Settings) -> None:
    """An operator may resume one, and revoking the key again does not pause it."""
    store = ChannelStore.from_settings(settings, "admin")
    mine, other = keys.create("mine", ["write"]).row, keys.create("other", ["write"]).row
    id, others = (store.create(source(), plan(), each.caller.owner)[0].id for each in (mine, other))
    keys.revoke(mine.id)
    assert store.get(id).paused_at is not None
    assert store.get(others).paused_at is None
    store.resume(id)
    keys.revoke(mine.id)
    assert store.get(id).paused_at is None
    keys.delete(other.id)
    assert store.get(others).paused_at is not None


def test_a_key_gets_another_secret(keys: ApiKeys) -> None:
    """Its requests stay its own; a revoked key gets none."""
    made = keys.create("newsroom", ["read"])
    rotated = keys.rotate(made.row.id)

    assert rotated.row.caller == made.row.caller
    assert rotated.token != made.token
    parsed = parse_token(rotated.token)
    assert parsed is not None
    assert keys.all()[0].secret_sha256 == secret_sha256(parsed[1])
    keys.revoke(made.row.id)
    with pytest.raises(ApiKeyNotFound):
        keys.rotate(made.row.id)


def test_a_key_expires(keys: ApiKeys) -> None:
    """It is valid until a second before its end, and refused from then on."""
    row = keys.create("newsroom", ["read"], expires_in=timedelta(hours=1)).row

    assert row.expires_at is not None
    assert row.is_valid_at(row.expires_at - timedelta(seconds=1))
    assert not row.is_valid_at(row.expires_at)


def expire(settings: Settings, id: str) -> None:
    """Set the end of a key to a second ago; if it was ended before, then an hour ago."""
    with Postgres.from_settings(settings, "admin").transaction() as connection:
        connection.execute(
            "update ytcaption.api_key set expires_at = now() - interval '1 second', "
            "expiry_applied_at = expiry_applied_at - interval '1 hour' where id = %s",
            (id,),
        )


def test_an_expired_key_is_ended_once(keys: ApiKeys, settings: Settings) -> None:
    """Its channels are not listed any more, then paused; an operator may resume them.

    A key whose end is set to later, and comes again, is ended again.
    """
    store = ChannelStore.from_settings(settings, "admin")
    runs = Postgres.from_settings(settings, "dagster")
    mine, other = keys.create("mine", ["write"]).row, keys.create("other", ["write"]).row
    id, others = (store.create(source(), plan(), each.caller.owner)[0].id for each in (mine, other))
    assert keys.end_expired() == []
    expire(settings, mine.id)
    assert [each.id for each in due_channels(runs, 9)] == [others]
    assert keys.expired() == keys.end_expired() == [mine.caller.owner]
    assert store.get(id).paused_at is not None
    assert store.get(others).paused_at is None

    store.resume(id)
    assert keys.expired() == keys.end_expired() == []
    assert {each.id for each in due_channels(runs, 9)} == {id, others}
    expire(settings, mine.id)
    assert keys.end_expired() == [mine.caller.owner]
    keys.revoke(other.id)
    expire(settings, other.id)
    assert keys.end_expired() == []


def test_use_is_recorded_once_a_minute(keys: ApiKeys, settings: Settings) -> None:
    """A second use within a minute changes nothing."""
    id = keys.create("newsroom", ["read"]).row.id
    assert keys.all()[0].last_used_at is None

    keys.record_use([id])
    first = keys.all()[0].last_used_at
    keys.record_use([id])
    assert keys.all()[0].last_used_at == first is not None

    with Postgres.from_settings(settings, "admin").transaction() as connection:
        connection.execute(
            "update ytcaption.api_key set last_used_at = now() - interval '61 seconds'"
        )
    keys.record_use([id])
    assert keys.all()[0].last_used_at >= first  # pyright: ignore[reportOptionalOperand]


@pytest.mark.parametrize(
    "text",
    ["", "ytc_", "ytc__", "sk-123", f"ytc_{'a' * 16}_{'A' * 32}", f"ytc_{'a' * 16}_{'a' * 33}",
     f" ytc_{'a' * 16}_{'a' * 32}", f"ytc_{'a' * 16}_{'a' * 32}\n", f"ytc_{'é' * 16}_{'a' * 32}"],
)  # fmt: skip
def test_other_texts_are_no_keys(text: str) -> None:
    """Only the exact form is parsed."""
    assert parse_token(text) is None


def test_time_spans() -> None:
    """They are hours, days or weeks, and nothing else."""
    assert parse_span("12h") == timedelta(hours=12)
    assert parse_span("90d") == timedelta(days=90)
    assert parse_span(" 2W ") == timedelta(weeks=2)
    for text in ("", "0d", "-1d", "1y", "1.5d", "90", "d", "999999d"):
        with pytest.raises(InvalidOption, match="Write 12h, 90d or 4w"):
            parse_span(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "[::1]", "::ffff:127.0.0.1"])
def test_loopback_needs_no_keys(settings: Settings, host: str) -> None:
    """The API may bind to loopback in every spelling."""
    check_bind(settings.changed(api_host=host))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.0.2.7", "example.org", "10.0.0.1", "::ffff:1.2.3.4"]
)
def test_other_addresses_need_keys(settings: Settings, keys: ApiKeys, host: str) -> None:
    """Without a key the refusal states what to do (rule 21)."""
    elsewhere = settings.changed(api_host=host)
    with pytest.raises(SetupError, match=r"no API keys exist.*`ytcaption keys create NAME`"):
        check_bind(elsewhere)

    keys.create("newsroom", ["read"])

    check_bind(elsewhere)
