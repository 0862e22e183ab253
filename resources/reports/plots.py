"""The pictures of a report, drawn by matplotlib, which is imported only for that."""

import io
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ytcaption.domain.languages import WHISPER_LANGUAGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from resources.reports.numbers import ReportNumbers

_WIDTH_IN, _HEIGHT_IN, _DPI = 7.0, 3.2, 110
_MAX_BARS, _MAX_LABELS = 12, 8
_WHOLE = 100
_BLUE, _ORANGE, _GREY = "#2563a8", "#c2571a", "#6b7280"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text in the reader's fonts: any script, and smaller files
    "svg.hashsalt": "ytcaption",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
}


@dataclass(frozen=True)
class Plot:
    """One picture.

    Attributes:
        description: its content for readers who cannot see it.
        holds_text: it shows words from transcripts.
    """

    name: str
    title: str
    description: str
    svg: bytes
    png: bytes
    holds_text: bool = False


def report_plots(numbers: "ReportNumbers") -> tuple[Plot, ...]:
    """Return the plots for which there is data."""
    drawn = (
        _growth(numbers),
        _languages(numbers),
        _delays(numbers),
        _failures(numbers),
        _terms(numbers),
    )
    return tuple(plot for plot in drawn if plot is not None)


def _growth(numbers: "ReportNumbers") -> Plot | None:
    rows = numbers.growth
    if not rows:
        return None
    months = [f"{row['month']:%Y-%m}" for row in rows]

    def draw(axes: "Axes") -> None:
        axes.bar(
            months, [row["audio_h"] for row in rows], color=_BLUE, width=0.7, label="that month"
        )
        total = axes.twinx()
        total.plot(months, [row["audio_h_so_far"] for row in rows], color=_ORANGE, marker="o")
        total.set_ylim(bottom=0)
        total.set_ylabel("hours so far", color=_ORANGE)
        for axis in (axes.yaxis, total.yaxis):
            axis.set_major_formatter(lambda value, _: short_number(value))
        total.spines["right"].set_visible(True)
        axes.set_ylabel("hours that month", color=_BLUE)
        axes.set_xticks(*_spaced_labels(months))

    last = rows[-1]
    total_h, month_h = last["audio_h_so_far"], last["audio_h"]
    description = f"{total_h:,.1f} hours so far, {month_h:,.1f} of them in {months[-1]}"
    return _plot("growth", "Audio transcribed", description, draw)


def _languages(numbers: "ReportNumbers") -> Plot | None:
    hours: defaultdict[str, float] = defaultdict(float)
    names = {known: name.title() for name, known in WHISPER_LANGUAGES.items()}
    for row in numbers.languages:
        code: str = row["language"]
        hours[names.get(code) or code] += row["audio_h"] or 0.0
    ranked = sorted(hours.items(), key=lambda item: -item[1])
    return _bars("languages", "Languages spoken", "hours of audio", ranked)


def _failures(numbers: "ReportNumbers") -> Plot | None:
    ranked = [(row["code"] or "unknown", float(row["failed"])) for row in numbers.failures]
    return _bars("failures", "Failures by cause, 30 days", "transcriptions that failed", ranked)


def _terms(numbers: "ReportNumbers") -> Plot | None:
    ranked = [(row["term"], float(row["times"])) for row in numbers.terms]
    return _bars(
        "terms", "Most frequent words", "occurrences", ranked, max_bars=20, holds_text=True
    )


def _delays(numbers: "ReportNumbers") -> Plot | None:
    rows = [row for row in numbers.delays if row["source"] == "asr"] or numbers.delays
    if not rows:
        return None
    days = [f"{row['day']:%m-%d}" for row in rows]

    def draw(axes: "Axes") -> None:
        for name, color, label in (
            ("delay_p50_s", _BLUE, "half are done after"),
            ("delay_p95_s", _ORANGE, "19 of 20 are done after"),
        ):
            axes.plot(days, [row[name] / 60 for row in rows], color=color, marker="o", label=label)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("minutes")
        axes.set_xticks(*_spaced_labels(days))
        axes.legend(frameon=False)

    last = rows[-1]
    description = f"half of {days[-1]}'s were done after {last['delay_p50_s'] / 60:,.1f} minutes"
    return _plot("delays", "Time from request to transcript", description, draw)


def _bars(
    name: str,
    title: str,
    unit: str,
    ranked: Sequence[tuple[str, float]],
    *,
    max_bars: int = _MAX_BARS,
    holds_text: bool = False,
) -> Plot | None:
    if not ranked:
        return None
    shown = list(reversed(ranked[:max_bars]))

    def draw(axes: "Axes") -> None:
        # matplotlib reads text between dollar signs as a formula.
        labels = [label.replace("$", r"\$") for label, _ in shown]
        axes.barh(range(len(shown)), [value for _, value in shown], color=_BLUE)
        axes.set_yticks(range(len(shown)), labels)
        axes.margins(y=0.02)
        axes.xaxis.set_major_formatter(lambda value, _: short_number(value))
        axes.set_xlabel(unit)

    description = ", ".join(f"{label} {short_number(value)}" for label, value in ranked[:5])
    height_in = max(1.4, 0.8 + 0.24 * len(shown))
    return _plot(name, title, f"{unit}: {description}", draw, height_in, holds_text)


def short_number(value: float) -> str:
    """Return the number with at least three digits and no exponent: `0.285`, `1,480`, `146,210`."""
    return f"{value:,.0f}" if abs(value) >= _WHOLE or value == round(value) else f"{value:.3g}"


def _plot(
    name: str,
    title: str,
    description: str,
    draw: Callable[["Axes"], None],
    height_in: float = _HEIGHT_IN,
    holds_text: bool = False,
) -> Plot:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's browser draws characters for which this machine has no font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        axes = figure.subplots()
        axes.set_title(title)
        draw(axes)
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
        figure.savefig(png, format="png", dpi=_DPI)
    return Plot(name, title, description, svg.getvalue(), png.getvalue(), holds_text)


def _spaced_labels(labels: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return positions and texts of labels, few enough that none covers another."""
    step = -(-len(labels) // _MAX_LABELS)
    positions = list(range(0, len(labels), step))
    return positions, [labels[position] for position in positions]
