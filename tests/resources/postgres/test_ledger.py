"""Migrations are recognised by their hashes."""

from datetime import UTC, datetime

import pytest

from resources.postgres.ledger import EARLIER_TEXTS, Entry, LedgerState, compare
from resources.postgres.migration_files import Migration, migrations
from ytcaption.domain.errors import SetupError

pytestmark = pytest.mark.unit

AT = datetime(2026, 11, 26, tzinfo=UTC)
KNOWN = migrations()


def entry(migration: Migration, number: int | None = None, name: str | None = None) -> Entry:
    """A row of the ledger as old versions wrote it."""
    number = migration.number if number is None else number
    return Entry(number, name or migration.name, migration.sha256, AT)


def numbers(state: LedgerState) -> list[int]:
    """The migrations that count as applied."""
    return [each.number for each in state.entries]


def test_a_usual_ledger_stays():
    """Nothing is rewritten; what it lacks is still to come."""
    state = compare([Entry(0, "grants.sql", "ab", AT), *map(entry, KNOWN[:5])], KNOWN)
    assert numbers(state) == [1, 2, 3, 4, 5]
    assert (state.replaced, state.bridges, state.grants_sha256) == ((), (), "ab")
    assert state.missing(KNOWN) == KNOWN[5:]


def test_one_that_came_out_of_order_is_applied_later():
    """Some databases got 5 before 4."""
    state = compare([entry(each) for each in KNOWN[:5] if each.number != 4], KNOWN)
    assert [each.number for each in state.missing(KNOWN)][:2] == [4, 6]


def test_a_renumbered_one_is_the_same_under_its_new_number():
    """At ad02d57 today's 8 was 9."""
    keep = KNOWN[7]
    state = compare([*map(entry, KNOWN[:7]), entry(keep, 9, "0009_keep.sql")], KNOWN)
    assert numbers(state) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert state.entries[-1].name == "0008_keep.sql"
    assert state.replaced == (1, 2, 3, 4, 5, 6, 7, 9)


@pytest.mark.parametrize(("name_of", "hash_of"), [(16, 17), (17, 16)])
def test_two_with_one_number_have_both_been_applied(name_of: int, hash_of: int):
    """At c15cded the row 16 had the name of the one and the hash of the other, in any order."""
    name = f"0016_{KNOWN[name_of - 1].name.partition('_')[2]}"
    state = compare([*map(entry, KNOWN[:15]), entry(KNOWN[hash_of - 1], 16, name)], KNOWN)
    assert numbers(state)[-2:] == [16, 17]
    assert state.missing(KNOWN) == KNOWN[17:]


def test_of_two_with_one_number_only_the_first_was_applied():
    """By a `migrate` that was killed in between."""
    state = compare(
        [*map(entry, KNOWN[:15]), entry(KNOWN[16], 16, "0016_channel_digest.sql")], KNOWN
    )
    assert numbers(state)[-1] == 17
    assert state.missing(KNOWN)[0] == KNOWN[15]


@pytest.mark.parametrize(("sha256", "number"), EARLIER_TEXTS.items())
def test_an_earlier_text_is_brought_forward(sha256: str, number: int):
    """The ledger then has the hash of today's text."""
    earlier = Entry(number, KNOWN[number - 1].name, sha256, AT)
    state = compare([*map(entry, KNOWN[: number - 1]), earlier], KNOWN)
    assert [bridge.number for bridge in state.bridges] == [number]
    assert state.entries[-1].sha256 == KNOWN[number - 1].sha256


def test_a_text_that_nobody_knows_is_refused():
    """In one sentence that names the file and says what to do."""
    with pytest.raises(SetupError) as caught:
        compare([*map(entry, KNOWN[:2]), Entry(3, "0003_checkpoint.sql", "f" * 64, AT)], KNOWN)
    assert "Migration 0003_checkpoint.sql was applied to this database with another" in str(
        caught.value
    )
    assert "ffffffffffff" in str(caught.value)


@pytest.mark.parametrize(
    ("contracts", "is_usable"), [(0, True), (KNOWN[-1].number, True), (9999, False), (None, False)]
)
def test_a_later_schema_is_used_while_it_takes_nothing_away(contracts: int | None, is_usable: bool):
    """So that processes of the previous version may start again during a rolling deploy."""
    later = Entry(9999, "9999_later.sql", "f" * 64, AT, contracts)
    entries = [*map(entry, KNOWN), later]
    if is_usable:
        state = compare(entries, KNOWN)
        assert state.is_ahead and state.replaced == () and state.missing(KNOWN) == []
    else:
        with pytest.raises(SetupError, match=r"later version of ytcaption \(9999_later.sql\)"):
            compare(entries, KNOWN)
