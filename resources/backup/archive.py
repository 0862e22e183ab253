"""The archives of pg_dump, read for their rows only.

An archive also holds SQL: definitions, and statements that load rows. None of it is executed.
pg_restore turns the archive into text, in which rows of tables and positions of sequences are
recognised; everything else is refused. The tables come from our own migrations.
"""

import hashlib
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

from resources.backup.manifest import CopiedFile
from resources.postgres.programs import client_program, program_failure
from ytcaption.domain.errors import InputError, StorageError

_ALLOWED_KINDS = (
    *("SCHEMA", "COMMENT", "TABLE", "TABLE DATA", "SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET"),
    *("DEFAULT", "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "FUNCTION"),
    *("TRIGGER", "VIEW", "TYPE", "STATISTICS"),
    *("TEXT SEARCH DICTIONARY", "TEXT SEARCH CONFIGURATION"),
)
"""Kinds of objects in the schemas of ytcaption and of the lake."""

_NAME = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"\n]|"")+")'
_ROWS = re.compile(rf"COPY ({_NAME})\.({_NAME}) \(({_NAME}(?:, {_NAME})*)\) FROM stdin;\n")
_POSITION = re.compile(
    rf"SELECT pg_catalog\.setval\('({_NAME})\.({_NAME})', ([0-9]{{1,19}}), (true|false)\);\n"
)
_NO_EFFECT = re.compile(
    r"\n|--[^\n]*\n|SET client_encoding = 'UTF8';\n|SET (?!client_encoding )[a-z_]+ = [^;\n]*;\n"
    r"|\\(?:un)?restrict [A-Za-z0-9]+\n"
    r"|SELECT pg_catalog\.set_config\('search_path', '', false\);\n"
)
"""Lines that pg_restore writes into every text, and that need not be executed."""
_END_OF_ROWS = b"\\.\n"
_LIST_LINE = re.compile(r"\d+; \d+ \d+ (?P<kind>[A-Z][A-Z ]*[A-Z]) (?P<rest>.*)")


@dataclass(frozen=True)
class Rows:
    """The rows of one table. Read them to the end before the next part.

    Attributes:
        lines: in COPY's text format.
    """

    schema: str
    table: str
    columns: tuple[str, ...]
    lines: Iterator[bytes]

    @property
    def name(self) -> str:
        """Return `schema.table`."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True)
class Position:
    """The position of a sequence.

    Attributes:
        is_used: the last value has been given out.
    """

    schema: str
    sequence: str
    value: int
    is_used: bool


@dataclass(frozen=True)
class Archive:
    """One archive.

    Attributes:
        expected: its size and hash, compared while it is read.
        major: of the Postgres server that it was dumped from.
    """

    path: Path
    expected: CopiedFile
    major: int
    _program: list[Path] = field(default_factory=list)

    def check_contents(self, schemas: Sequence[str]) -> None:
        """Compare the list of its contents with what ytcaption's dumps hold.

        Raises:
            InputError: it holds other kinds of objects, or objects of other schemas.
            StorageError: it cannot be read.
            SetupError: no pg_restore for it is installed.
        """
        done = subprocess.run(
            [str(self._pg_restore()), "--list", str(self.path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        if done.returncode != 0:
            raise program_failure("pg_restore", done.stderr)
        for line in done.stdout.decode(errors="replace").splitlines():
            if not line or line.startswith(";"):
                continue
            match = _LIST_LINE.fullmatch(line)
            kind = match["kind"] if match else ""
            # The kind ends where the schema begins, which is lower case, or `-`.
            if match is None or kind not in _ALLOWED_KINDS:
                raise self._foreign(line)
            schema, _, rest = match["rest"].partition(" ")
            if schema == "-":  # a schema itself, or its comment
                schema = rest.removeprefix("SCHEMA ").partition(" ")[0]
            if schema not in schemas:
                raise self._foreign(line)

    @contextmanager
    def parts(self) -> Iterator[Iterator[Rows | Position]]:
        """Yield its rows and positions, in order.

        The bytes that are read are those whose hash is compared: at the end, so that nothing may be
        used before the context has ended without an error.

        Raises:
            InputError: it holds other statements.
            StorageError: it is damaged, or is not the file of the manifest.
            SetupError: no pg_restore for it is installed.
        """
        command = [
            *(str(self._pg_restore()), "--data-only", "--no-owner", "--no-privileges"),
            *("--format=custom", "--file=-"),
        ]
        with (
            self.path.open("rb") as archive,
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            ) as program,
        ):
            assert program.stdin and program.stdout
            feed = _Feed(archive, program.stdin)
            try:
                yield self._parts(program.stdout)
                shutil.copyfileobj(program.stdout, _Nowhere())
                feed.join()
                code = program.wait()
            except BaseException:
                program.kill()
                feed.is_canceled = True
                raise
            finally:
                program.stdout.close()
                feed.join()
            if code != 0:
                errors.seek(0)
                raise program_failure("pg_restore", errors.read())
            if feed.copied != self.expected:
                raise StorageError(
                    f"{self.path.name} of the backup was changed while it was read. Take another "
                    "backup."
                )

    def _parts(self, text: IO[bytes]) -> Iterator[Rows | Position]:
        for raw in text:
            line = raw.decode("utf-8", errors="replace")
            if match := _ROWS.fullmatch(line):
                schema, table, columns = match[1], match[2], match[3]
                names = tuple(_unquoted(name) for name in re.findall(_NAME, columns))
                lines = _until_end(text)
                yield Rows(_unquoted(schema), _unquoted(table), names, lines)
                for _ in lines:  # what the caller left
                    pass
            elif match := _POSITION.fullmatch(line):
                names = _unquoted(match[1]), _unquoted(match[2])
                yield Position(*names, int(match[3]), match[4] == "true")
            elif _NO_EFFECT.fullmatch(line) is None:
                raise self._foreign(line)

    def _pg_restore(self) -> Path:
        if not self._program:
            self._program.append(client_program("pg_restore", self.major))
        return self._program[0]

    def _foreign(self, what: str) -> InputError:
        return InputError(
            f"{self.path.name} of the backup holds what ytcaption does not dump: {what!a:.200}. "
            "Nothing was restored. Use another backup."
        )


class _Feed(threading.Thread):
    """Passes a file to a program and hashes it.

    Attributes:
        copied: what was read, once it has ended.
    """

    def __init__(self, source: BinaryIO, target: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.copied: CopiedFile | None = None
        self.is_canceled = False
        self._source = source
        self._target = target
        self.start()

    def run(self) -> None:
        """Copy to the end; the program may stop reading before."""
        sha256, size_bytes, is_open = hashlib.sha256(), 0, True
        while not self.is_canceled and (block := self._source.read(1 << 20)):
            sha256.update(block)
            size_bytes += len(block)
            if is_open:
                try:
                    self._target.write(block)
                except BrokenPipeError:
                    is_open = False
        with suppress(BrokenPipeError):
            self._target.close()
        self.copied = CopiedFile(size_bytes, sha256.hexdigest())


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)


def _until_end(text: IO[bytes]) -> Iterator[bytes]:
    for line in text:
        if line == _END_OF_ROWS:
            return
        yield line
    raise StorageError("A dump of the backup ends within a table. Take another backup.")


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
