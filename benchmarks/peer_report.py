"""Makes the tables and plots of docs/benchmarks/engines.md from the JSON of `benchmarks.peers`.

    python -m benchmarks.peer_report [--json build/peers.json] [--docs docs/benchmarks]

Needs only matplotlib. The rest of that page is not changed.
"""

import argparse
import json
import textwrap
from collections.abc import Callable
from pathlib import Path

from benchmarks.peer_arms import ARMS, REFERENCE

BEGIN, END = "<!-- peers: begin, made by benchmarks.peer_report -->", "<!-- peers: end -->"
MEBI = 1024**2
_NOT_RUN = {"reason": "not run"}
_NAMES: dict[str, str] = {"short": "under 6 s", "10min": "10 minutes", "1h": "1 hour"}


def section(run: dict, descriptions: dict[str, str]) -> str:
    """Return the section of the page, in Markdown.

    Args:
        descriptions: of the sets, by name.
    """
    machine = run["machine"]
    nice = f", nice {machine['nice']}" if machine["nice"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run["versions"].items()))
    lines = [
        "## Measured",
        "",
        *_command(run["command"]),
        "",
        _item(
            f"{machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_bytes'] / 1024**3:.0f} GiB, {machine['system']}, "
            f"Python {machine['python']}{nice}; {run['date']}"
        ),
        _item(
            f"every engine: the same weights, {run['threads']} threads, beam {run['beam_size']}, "
            "a process of its own"
        ),
        _item(versions),
        "",
    ]
    for model in dict.fromkeys(row["model"] for row in run["rows"]):
        rows = [row for row in run["rows"] if row["model"] == model]
        image = f"engines_{model.replace('.', '_')}"
        lines += [f"### {model}", "", f"![speed and word error rate, {model}]({image}.png)", ""]
        lines += _overview(rows)
        for name in dict.fromkeys(row["set"] for row in rows):
            of_set = [row for row in rows if row["set"] == name]
            lines += _table(name, descriptions.get(name, ""), of_set)
    return "\n".join(lines)


def _command(text: str) -> list[str]:
    """Return the lines of a code block, with options on lines of their own if it is long."""
    lines = [text] if len(text) < 96 else text.replace(" --", "\n  --").split("\n")
    return [f"    {line}" + " \\" * (line != lines[-1]) for line in lines]


def _item(text: str) -> str:
    return textwrap.fill(
        text, 100, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
    )


def _overview(rows: list[dict]) -> list[str]:
    """Return speed against the reference and WER: a row per engine, a column per set."""
    return [
        f"Speed as a multiple of {ARMS[REFERENCE].title}'s:",
        "",
        *_by_set(rows, _ratio),
        "",
        "Word error rate (for `silence`: words that nobody said):",
        "",
        *_by_set(rows, _errors),
        "",
    ]


def _by_set(rows: list[dict], cell: Callable[[dict], str]) -> list[str]:
    names = list(dict.fromkeys(str(row["set"]) for row in rows))
    found = {(row["engine"], row["set"]): row for row in rows}
    engines = dict.fromkeys(row["engine"] for row in rows)
    return [
        "| engine | " + " | ".join(_NAMES.get(name, name) for name in names) + " |",
        "| --- |" + " ---: |" * len(names),
        *(
            f"| {_title(engine)} | "
            + " | ".join(cell(found.get((engine, name), _NOT_RUN)) for name in names)
            + " |"
            for engine in engines
        ),
    ]


def _ratio(row: dict) -> str:
    return "–" if "reason" in row else _times(row["ratio"])


def _errors(row: dict) -> str:
    if "reason" in row:
        return "–"
    return f"{row['insertions']} words" if row["wer"] is None else f"{row['wer']:.1%}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}x"


def _table(name: str, description: str, rows: list[dict]) -> list[str]:
    columns = ["engine", "speed", "RTF", "ratio", "WER", "lost", "invented"]
    columns += ["peak MiB", "CPU s", "CPU ratio", "load s"]
    measured = [row for row in rows if "reason" not in row]
    lines = [
        f"**{_NAMES.get(name, name)}**: {description}, {rows[0]['audio_s']:.0f} s.",
        "",
        "| " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * (len(columns) - 1),
        *("| " + " | ".join(_cells(row)) + " |" for row in measured),
    ]
    notes = [_item(f"{_title(row['engine'])}: {row['reason']}") for row in rows if "reason" in row]
    return [*lines, "", *notes, *([""] if notes else []), *_languages(measured)]


def _cells(row: dict) -> list[str]:
    return [
        _title(row["engine"]),
        f"{row['times_real_time']:.1f}",
        f"{row['rtf']:.3f}",
        _times(row["ratio"]),
        "–" if row["wer"] is None else f"{row['wer']:.1%}",
        str(row["deletions"]),
        str(row["insertions"]),
        f"{row['peak_bytes'] / MEBI:.0f}",
        f"{row['cpu_s']:.1f}",
        _times(row["cpu_ratio"]),
        f"{row['load_s']:.1f}",
    ]


def _languages(rows: list[dict]) -> list[str]:
    """Return a table of WER by language; nothing for sets of one language."""
    codes = sorted({code for row in rows for code in row["by_language"]})
    if len(codes) < 2:
        return []
    return [
        "| WER by language | " + " | ".join(codes) + " |",
        "| --- |" + " ---: |" * len(codes),
        *(
            f"| {_title(row['engine'])} | "
            + " | ".join(f"{row['by_language'][code]:.1%}" for code in codes)
            + " |"
            for row in rows
        ),
        "",
    ]


def _title(engine: str) -> str:
    title = ARMS[engine].title
    return f"**{title}**" if engine.startswith("ytcaption") else title


def put(page: Path, text: str) -> None:
    """Write the section into a page, in place of an older one, else at the end."""
    old = page.read_text(encoding="utf-8") if page.exists() else "# Engines\n"
    before, marker, rest = old.partition(BEGIN)
    after = rest.partition(END)[2] if marker else ""
    before = before if marker else f"{before.rstrip()}\n\n"
    page.write_text(
        f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after or chr(10)}", encoding="utf-8"
    )


def main() -> None:
    """Write the page and a plot for each model."""
    from benchmarks.peer_plot import plotted

    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_report")
    parser.add_argument("--json", type=Path, default=Path("build/peers.json"))
    parser.add_argument("--docs", type=Path, default=Path("docs/benchmarks"))
    arguments = parser.parse_args()
    run = json.loads(arguments.json.read_text(encoding="utf-8"))
    put(arguments.docs / "engines.md", section(run, run["sets"]))
    for model in dict.fromkeys(row["model"] for row in run["rows"]):
        rows = [row for row in run["rows"] if row["model"] == model and "reason" not in row]
        plotted(rows, model, run, arguments.docs / f"engines_{model.replace('.', '_')}")


if __name__ == "__main__":
    main()
