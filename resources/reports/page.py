"""A report as one self-contained HTML file without scripts."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from resources.reports.plots import short_number

if TYPE_CHECKING:
    from resources.reports.numbers import ReportNumbers
    from resources.reports.plots import Plot

_STYLE = """
body {
  font: 16px/1.5 system-ui, sans-serif; color: #1f2937;
  max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
}
h1 { margin-bottom: 0; }
p.when { color: #6b7280; margin-top: 0; }
dl { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; }
dt { color: #6b7280; }
dd { margin: 0; font-size: 1.6rem; }
figure { margin: 2rem 0; }
img { width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; color: #6b7280; font-weight: 600; }
th, td { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #e5e7eb; }
th.n, td.n { text-align: right; }
"""

REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of a report."""


def report_page(numbers: "ReportNumbers", plots: "Sequence[Plot]") -> bytes:
    """Return the page in UTF-8; text from media and people is escaped."""
    figures = (
        "\n".join(_figure(plot) for plot in plots) or "<p>Nothing has been transcribed yet.</p>"
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Library report {numbers.made_at:%Y-%m-%d}</title>
<style>{_STYLE}</style>
<h1>The library</h1>
<p class="when">{numbers.made_at:%Y-%m-%d %H:%M} UTC</p>
{_totals(numbers)}
{figures}
{_speeds(numbers)}
{_failures(numbers)}
</html>
""".encode()


def _totals(numbers: "ReportNumbers") -> str:
    growth = numbers.growth
    totals = {
        "transcriptions": f"{growth[-1]['transcriptions_so_far']:,}" if growth else "0",
        "hours of audio": f"{growth[-1]['audio_h_so_far']:,.1f}" if growth else "0",
        "words": f"{sum(row['words'] or 0 for row in growth):,}",
        "failures, 30 days": f"{sum(row['failed'] for row in numbers.failures):,}",
    }
    return f"<dl>{''.join(f'<div><dt>{n}</dt><dd>{v}</dd></div>' for n, v in totals.items())}</dl>"


def _figure(plot: "Plot") -> str:
    encoded = base64.b64encode(plot.svg).decode()
    description = escape(f"{plot.title}: {plot.description}")
    return f'<figure><img alt="{description}" src="data:image/svg+xml;base64,{encoded}"></figure>'


def _speeds(numbers: "ReportNumbers") -> str:
    rows = [
        (
            row["model"],
            row["device"],
            row["transcriptions"],
            row["audio_h"],
            row["rtf"],
            row["rtf_p95"],
        )
        for row in numbers.speeds
    ]
    head = ("model", "device", "transcriptions", "hours", "RTF", "RTF p95")
    return _table("Models", head, rows)


def _failures(numbers: "ReportNumbers") -> str:
    rows = [(row["code"], row["failed"]) for row in numbers.failures]
    return _table("Failures by cause, 30 days", ("cause", "transcriptions"), rows)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    rows = list(rows)
    if not rows:
        return ""
    body = "\n".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    names = "".join(
        f"<th{_of_number(value)}>{escape(name)}</th>"
        for name, value in zip(head, rows[0], strict=True)
    )
    return f"<h2>{escape(title)}</h2>\n<table><tr>{names}</tr>\n{body}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        text = short_number(value)
    else:
        text = f"{value:,}" if isinstance(value, int) else escape(str(value or ""))
    return f"<td{_of_number(value)}>{text}</td>"


def _of_number(value: Any) -> str:
    return ' class="n"' if isinstance(value, int | float) else ""
