"""The ledger: which migrations a database has, recognised by their hashes.

Before the first release some migrations were renumbered and some edited after databases had been
made with them. The ledger of such a database names numbers and hashes that no longer exist;
`bring_forward` recognises them and makes ledger and schema what today's files make.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, cast

from psycopg import Connection, sql

from resources.postgres.migration_files import GRANTS, Migration, bridges
from ytcaption.domain.errors import SetupError

EARLIER_TEXTS = {
    "5afc1c10748e3c8da9b5360e922f2a34b16dcb6d63b76961ae4f2b5e0c4eea1d": 2,
    "27b46a6e55599df60d4de0fa5a36ae2bb2b8994e7ade77a487436a6693478316": 2,
    "3c03622e847aac96a8418f46f1ea1fe2de9c253a88c583de1e5f65c6c29ecb33": 2,
    "15541aa96bbcd7be232f27a13d4b55608069d983669d781cc0bbfa089cdcec67": 2,
    "508139bf64c565fece4c7b5104663f3a71b3624dac1483a754c040bafc931fcc": 10,
    "8cb2dc4e341cfa571df923562d6591ca3c982345fa29171bbd8bcbe7bf17772c": 10,
    "63ba54860968cc1e199871c3988ebae698828087e09eceae84ceea90f82dc6ca": 10,
    "b535b8a9836feab1704ee51c808f611a9578ebd723e5d2d57bf4a07a623e45a3": 13,
}
"""Hex SHA-256 of texts that were on main for a while -> the migration that has another text today.

A closed list: migrations have been immutable since. `migrations/earlier/` brings each forward.
"""

_LEDGER = """
create table if not exists ytcaption.migration (
    number integer primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True)
class Entry:
    """A row of the ledger.

    Attributes:
        contracts: as `Migration.contracts`; for rows that an older version wrote, None.
    """

    number: int
    name: str
    sha256: str
    applied_at: datetime
    contracts: int | None = None


@dataclass(frozen=True)
class LedgerState:
    """What a ledger says, compared with the files.

    Attributes:
        entries: what the ledger contains once the schema is brought forward, without `grants.sql`.
        bridges: what does so, in order.
        replaced: numbers of the ledger's rows that say something else so far; none if none does.
        grants_sha256: of the rights that were applied last.
        is_ahead: a later version has migrated it, and this version may go on working with it.
    """

    entries: tuple[Entry, ...]
    bridges: tuple[Migration, ...]
    replaced: tuple[int, ...]
    grants_sha256: str | None
    is_ahead: bool

    def missing(self, known: Sequence[Migration]) -> list[Migration]:
        """Return the migrations that are still to be applied, in order."""
        applied = {entry.number for entry in self.entries}
        return [migration for migration in known if migration.number not in applied]


def make_ledger(connection: Connection) -> None:
    """Create the schema and its ledger, or what the ledger lacks."""
    connection.execute("create schema if not exists ytcaption")
    connection.execute(_LEDGER)
    connection.execute("alter table ytcaption.migration add column if not exists contracts integer")


def is_ledger_current(connection: Connection) -> bool:
    """Return whether `make_ledger` has nothing to do."""
    row = connection.execute(
        "select exists (select from pg_attribute where attname = 'contracts' "
        "and attrelid = to_regclass('ytcaption.migration') and not attisdropped)"
    ).fetchone()
    return row is not None and row[0]


def read_ledger(connection: Connection) -> list[Entry]:
    """Return the rows of a ledger of any version; none if the database has none."""
    row = connection.execute("select to_regclass('ytcaption.migration') is not null").fetchone()
    if row is None or not row[0]:
        return []
    contracts = "contracts" if is_ledger_current(connection) else "null"
    return [
        Entry(*values)
        for values in connection.execute(
            sql.SQL(
                "select number, name, sha256, applied_at, {} from ytcaption.migration "
                "order by number"
            ).format(sql.SQL(contracts))
        )
    ]


def compare(entries: Sequence[Entry], known: Sequence[Migration]) -> LedgerState:
    """Recognise the migrations of a ledger by their hashes.

    Raises:
        SetupError: a migration was applied with a text that no version of ytcaption had, or a later
            version has taken away what this one needs.
    """
    by_hash = {migration.sha256: migration for migration in known}
    by_subject = {_subject(migration.name): migration for migration in known}
    by_number = {migration.number: migration for migration in known}
    latest = known[-1].number
    numbered = [entry for entry in entries if entry.number != GRANTS]
    found: dict[int, Entry] = {}
    needed: set[int] = set()
    later: list[Entry] = []

    def applied(migration: Migration, entry: Entry) -> None:
        found[migration.number] = Entry(
            migration.number, migration.name, migration.sha256, entry.applied_at, entry.contracts
        )

    for entry in numbered:
        migration = by_hash.get(entry.sha256)
        if migration is None and (number := EARLIER_TEXTS.get(entry.sha256)) is not None:
            migration = by_number.get(number)
            needed.add(number)
        if migration is not None:
            applied(migration, entry)
            # Two files had one number: their row has the name of one and the hash of the other.
            other = by_subject.get(_subject(entry.name))
            if other is not None and other.sha256 != migration.sha256:
                applied(other, entry)
        elif entry.number > latest:
            later.append(entry)
        else:
            raise _changed(entry, by_number.get(entry.number))
    _check_later(later, latest)
    rows = tuple(sorted(found.values(), key=lambda entry: entry.number))
    grants = next((entry.sha256 for entry in entries if entry.number == GRANTS), None)
    before = [(entry.number, entry.sha256) for entry in numbered if entry not in later]
    is_same = before == [(entry.number, entry.sha256) for entry in rows]
    return LedgerState(
        rows,
        tuple(bridge for number, bridge in sorted(bridges().items()) if number in needed),
        () if is_same else tuple(number for number, _ in before),
        grants,
        bool(later),
    )


def bring_forward(connection: Connection, state: LedgerState) -> None:
    """Make schema and ledger what today's files make of it. In the caller's transaction."""
    for bridge in state.bridges:
        # Our own files of several statements, sent without parameters.
        connection.execute(cast(LiteralString, bridge.statements))
    if state.replaced:
        connection.execute(
            "delete from ytcaption.migration where number = any(%s)", (list(state.replaced),)
        )
        for entry in state.entries:
            connection.execute(
                "insert into ytcaption.migration (number, name, sha256, applied_at, contracts) "
                "values (%s, %s, %s, %s, %s)",
                (entry.number, entry.name, entry.sha256, entry.applied_at, entry.contracts),
            )


def record(connection: Connection, migration: Migration) -> None:
    """Write that a migration has been applied. In the caller's transaction."""
    connection.execute(
        "insert into ytcaption.migration (number, name, sha256, contracts) "
        "values (%s, %s, %s, %s) on conflict (number) do update "
        "set name = excluded.name, sha256 = excluded.sha256, applied_at = now(), "
        "contracts = excluded.contracts",
        # 0: nothing is taken away. Null is of versions that did not write it.
        (migration.number, migration.name, migration.sha256, migration.contracts or 0),
    )


def _subject(name: str) -> str:
    return name.partition("_")[2]


def _check_later(later: Sequence[Entry], latest: int) -> None:
    """Refuse a database from which a later version has taken away what this one needs."""
    for entry in later:
        if entry.contracts is None or entry.contracts > latest:
            raise SetupError(
                f"The database was migrated by a later version of ytcaption ({entry.name}), with "
                "which this one cannot work. Update ytcaption to use it."
            )


def _changed(entry: Entry, migration: Migration | None) -> SetupError:
    present = f"{migration.sha256[:12]} here" if migration is not None else "which is not here"
    return SetupError(
        f"Migration {entry.name} was applied to this database with another text than this version "
        f"of ytcaption has (SHA-256 {entry.sha256[:12]} there, {present}). Nothing was changed. "
        "Use the version that migrated the database, or restore a backup with this one."
    )
