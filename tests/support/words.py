"""Words that this project does not use, and where they still are.

    python -m tests.support.words             # each line that has one
    python -m tests.support.words hear told   # of these words only
    python -m tests.support.words --check     # exit status 1 if a word is in more files than before
    python -m tests.support.words --update    # lower the baseline to what there is now

docs/glossary.md says what to write instead. The baseline, `tests/words_baseline.json`, holds the
number of files per word and part of the repository. It may only go down; a word without a number
there is in no file.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.paths import ROOT

BASELINE = ROOT / "tests" / "words_baseline.json"
SHOWN_LINES = 40


@dataclass(frozen=True)
class Word:
    """One word to avoid.

    Attributes:
        prose: finds it in comments, docstrings, messages and documents; None: it is fine there.
        identifier: finds it in a name, written in lower case with underscores.
        instead: what to write.
    """

    prose: re.Pattern[str] | None
    identifier: re.Pattern[str]
    instead: str


def _word(prose: str | None, identifier: str, instead: str) -> Word:
    return Word(
        re.compile(rf"\b(?:{prose})\b", re.IGNORECASE) if prose else None,
        re.compile(rf"(?:^|_)(?:{identifier})(?:_|$)"),
        instead,
    )


WORDS = {
    "hear": _word("hear|hears|heard", "hear|hears|heard|hearing", "transcribe"),
    "way out": _word(r"ways?\s+out", "ways?_out|has_way|way_at", "egress route"),
    "anew": _word("anew", "anew", "again"),
    "whoever": _word("whoever", "whoever", "the caller, any process that"),
    "so many": _word(r"so\s+many", "so_many", "N, that number of"),
    "upkeep": _word("upkeep", "upkeep", "maintenance"),
    "mend": _word("mend|mends|mended|mending", "mend|mends|mended", "repair"),
    "stranger": _word("strangers?|strangers?'s?", "strangers?", "untrusted"),
    "told": _word(None, "told", "notified, reported, given"),
    "asked": _word(None, "asked", "requested, request"),
}

PARTS = {
    "product": ("ytcaption", "resources", "sensors", "ytcaption_assets", "api"),
    "tests": ("tests", "benchmarks"),
}
"""By folder; everything else is `docs`."""

ALLOWED: dict[str, frozenset[str]] = {
    "docs/glossary.md": frozenset(WORDS),  # lists them
    "tests/support/words.py": frozenset(WORDS),
    "tests/test_words.py": frozenset(WORDS),
    "CHANGELOG.md": frozenset(WORDS),  # names what was renamed
    "ytcaption/client/models.py": frozenset({"anew"}),  # an old name that is accepted
    "tests/ytcaption/client/test_old_names.py": frozenset({"anew"}),  # the same
    "ytcaption_assets/cli/admin/doctor.py": frozenset({"mend"}),  # an old name that is delivered
    "tests/ytcaption_assets/cli/admin/test_doctor.py": frozenset({"mend"}),  # the same
}
"""Legitimate uses: the words that a file may hold, with the reason."""

_SKIPPED = ("tests/data/", "resources/postgres/migrations/")  # recordings' texts; never changed
_SUFFIXES = {
    *(".py", ".md", ".txt", ".toml", ".yaml", ".yml", ".sql"),
    *(".js", ".html", ".css", ".sh", ".cfg", ".service"),
}
_NAMES = {"Makefile", "run"}
_ANY = re.compile(
    r"hear|ways?_?\s*out|has_?way|way_?at|anew|whoever|so_?\s*many|upkeep|mend|stranger|told|asked",
    re.IGNORECASE,
)
"""What every use contains: most texts are done with at once."""

_NAME_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True)
class Use:
    """A line that holds a word to avoid."""

    word: str
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word}: {self.text.strip()[:100]}"


def part_of(path: str) -> str:
    """Return the part of the repository that a path belongs to, as the baseline counts it."""
    top = path.partition("/")[0]
    return next((part for part, folders in PARTS.items() if top in folders), "docs")


def uses_in(path: str, text: str) -> list[Use]:
    """Return each use in one file, once per line and word, in order."""
    if not _ANY.search(text):
        return []
    found: set[tuple[int, str]] = set()
    for first_line, piece, is_name in _python(text) if path.endswith(".py") else _plain(text):
        if is_name:
            found.update((first_line, word) for word in _words_of_name(piece))
        else:
            found.update((first_line + at, word) for at, word in _words_of_prose(piece))
    lines = text.split("\n")
    allowed = ALLOWED.get(path, frozenset())
    return [
        Use(word, path, line, lines[line - 1])
        for line, word in sorted(found)
        if word not in allowed
    ]


@cache
def _words_of_name(name: str) -> tuple[str, ...]:
    snake_case = _snake_case(name)
    return tuple(word for word, kind in WORDS.items() if kind.identifier.search(snake_case))


def _words_of_prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines, from 0, and words."""
    if _ANY.search(text):
        for word, kind in WORDS.items():
            for match in kind.prose.finditer(text) if kind.prose else ():
                yield text.count("\n", 0, match.start()), word


def _python(text: str) -> Iterator[tuple[int, str, bool]]:
    """Line, text, and whether it is a name: of each name, comment and string."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string, True
        elif token.type == tokenize.COMMENT or "STRING" in tokenize.tok_name[token.type]:
            yield token.start[0], token.string, False


def _plain(text: str) -> Iterator[tuple[int, str, bool]]:
    yield 1, text, False


def _snake_case(name: str) -> str:
    """`OptionsAsked` -> `options_asked`."""
    return "_".join(part.lower() for part in _NAME_PARTS.findall(name))


def files() -> list[str]:
    """Return the paths of all text files of the repository, those that git ignores left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [
        path
        for path in sorted(set(listed))
        if not path.startswith(_SKIPPED)
        and (Path(path).suffix in _SUFFIXES or Path(path).name in _NAMES)
        and (ROOT / path).is_file()
    ]


def all_uses() -> list[Use]:
    """Return every use in the repository."""
    return [
        use for path in files() for use in uses_in(path, (ROOT / path).read_text(encoding="utf-8"))
    ]


def file_counts(uses: list[Use]) -> dict[str, dict[str, int]]:
    """Return the number of files by part and word."""
    paths: dict[tuple[str, str], set[str]] = defaultdict(set)
    for use in uses:
        paths[part_of(use.path), use.word].add(use.path)
    counts: dict[str, dict[str, int]] = {}
    for part, word in sorted(paths):
        counts.setdefault(part, {})[word] = len(paths[part, word])
    return counts


def baseline() -> dict[str, dict[str, int]]:
    """Return the counts that may not be exceeded."""
    return json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}


def problems(uses: list[Use], allowed: dict[str, dict[str, int]]) -> list[str]:
    """Return a message for each word that is in more files than the baseline allows.

    Lines of files with local changes come first, since the new use is likely among them.
    """
    changed = _changed()
    messages: list[str] = []
    for part, counts in file_counts(uses).items():
        for word, count in counts.items():
            limit = allowed.get(part, {}).get(word, 0)
            if count <= limit:
                continue
            mine = [use for use in uses if use.word == word and part_of(use.path) == part]
            mine.sort(key=lambda use: use.path not in changed)
            shown = "\n".join(f"  {use}" for use in mine[:SHOWN_LINES])
            more = f"\n  ... and {len(mine) - SHOWN_LINES} more" if len(mine) > SHOWN_LINES else ""
            messages.append(
                f"'{word}' is in {count} files of {part}, {limit} at most are allowed. Write: "
                f"{WORDS[word].instead}.\n{shown}{more}\n"
                f"  All of them: python -m tests.support.words '{word}'"
            )
    return messages


def _changed() -> set[str]:
    """Return files that differ from the last commit or from the branch `main`."""
    changed: set[str] = set()
    for revision in ("HEAD", "main...HEAD"):
        done = subprocess.run(
            ["git", "diff", "--name-only", revision], cwd=ROOT, capture_output=True, text=True
        )
        changed.update(done.stdout.splitlines())
    return changed


def lowered(
    counts: dict[str, dict[str, int]], allowed: dict[str, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """Return the baseline with each number lowered to what there is now, never raised."""
    return {
        part: kept
        for part, words in allowed.items()
        if (
            kept := {
                word: min(limit, now)
                for word, limit in words.items()
                if (now := counts.get(part, {}).get(word, 0))
            }
        )
    }


def main() -> int:
    """Print uses, check them, or lower the baseline."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.words")
    parser.add_argument("words", nargs="*", help=f"of: {', '.join(WORDS)}")
    parser.add_argument("--check", action="store_true", help="fail if a word is in more files")
    parser.add_argument("--update", action="store_true", help="lower the baseline")
    given = parser.parse_args()
    uses = all_uses()
    if given.check:
        found = problems(uses, baseline())
        sys.stderr.write("".join(f"{message}\n" for message in found))
        if lowered(file_counts(uses), baseline()) != baseline():
            sys.stderr.write("Fewer words to avoid: run python -m tests.support.words --update\n")
        return 1 if found else 0
    if given.update:
        now = lowered(file_counts(uses), baseline())
        BASELINE.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
        return 0
    for use in uses:
        if not given.words or use.word in given.words:
            sys.stdout.write(f"{use}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
