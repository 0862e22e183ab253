"""Plots speed against word error rate, a panel per set, every engine labelled at its point."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.peer_arms import ARMS, REFERENCE

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

PANELS = {
    "clips": "Clips of about 9 s",
    "multi": "German, French, Spanish, Portuguese",
    "short": "Clips under 6 s",
    "10min": "One recording of 10 minutes",
    "1h": "One recording of an hour",
}
"""The sets that are drawn, in this order; four at most."""

# Okabe and Ito's palette for colour-blind readers; marks also differ by shape.
OURS, PLAIN, OTHERS, INK = "#0072B2", "#D55E00", "#7A7A7A", "#222222"
_MARKS = {"ytcaption": (OURS, "o"), "faster-whisper": (PLAIN, "s")}
_LABEL_GAP = 0.062
"""Distance of labels, as a share of a panel's height."""


def plotted(rows: list[dict], model: str, run: dict, file: Path) -> None:
    """Draw the results of a model into `file`.png and `file`.svg."""
    names = [name for name in PANELS if any(row["set"] == name for row in rows)]
    names = [name for name in names if name != "short"] if len(names) > 4 else names
    columns = 2 if len(names) > 1 else 1
    lines = -(-len(names) // columns)
    style: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "svg.fonttype": "none",
        "svg.hashsalt": "ytcaption",
    }
    with matplotlib.rc_context(style):
        figure, grid = pyplot.subplots(
            lines, columns, figsize=(5.6 * columns, 3.7 * lines + 1.0), squeeze=False
        )
        for axes, name in zip(grid.flat, names, strict=False):
            _panel(axes, PANELS[name], [row for row in rows if row["set"] == name])
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        machine = run["machine"]
        figure.text(
            0.02, 1 - 0.12 / figure.get_figheight(),
            f"Whisper {model}: speed and accuracy of engines on one CPU",
            ha="left", va="top", fontsize=15, fontweight="bold", color=INK,
        )  # fmt: skip
        figure.text(
            0.02, 1 - 0.46 / figure.get_figheight(),
            f"Same weights, beam {run['beam_size']}, {run['threads']} threads, "
            f"{machine['cpu']}, {machine['cores']} cores, {run['date']}. "
            "Further right is faster, further down has fewer errors.",
            ha="left", va="top", fontsize=9.5, color="#555555",
        )  # fmt: skip
        top = 1 - 0.78 / figure.get_figheight()
        figure.tight_layout(rect=(0, 0, 1, top), h_pad=1.6, w_pad=2.0)
        figure.savefig(file.with_suffix(".png"), dpi=160)
        figure.savefig(file.with_suffix(".svg"), metadata={"Date": None})
        pyplot.close(figure)


def _panel(axes: Axes, title: str, rows: list[dict]) -> None:
    speeds = [row["times_real_time"] for row in rows]
    rates = [row["wer"] * 100 for row in rows]
    axes.set_xscale("log")
    axes.set_xlim(min(speeds) / 1.35, max(speeds) * 1.6)
    spread = max(max(rates) - min(rates), 1.0)
    axes.set_ylim(max(0.0, min(rates) - 0.35 * spread), max(rates) + 0.3 * spread)
    ticks = [each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500) if _within(each, axes)]
    axes.set_xticks(ticks, [f"{each}x" for each in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.grid(color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#BBBBBB")
    axes.tick_params(length=0, labelcolor="#555555", labelsize=9)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=8)
    axes.set_xlabel("speed, times real time", loc="left", fontsize=9, color="#555555")
    axes.set_ylabel("word error rate", fontsize=9, color="#555555")
    _guides(axes, rows)
    for row, label in zip(rows, _labels(axes, rows), strict=True):
        _point(axes, row, label)


def _within(value: float, axes: Axes) -> bool:
    low, high = axes.get_xlim()
    return low <= value <= high


def _guides(axes: Axes, rows: list[dict]) -> None:
    """Draw lines through the reference: better engines are below and to the right."""
    plain = next((row for row in rows if row["engine"] == REFERENCE), None)
    if plain is None:
        return
    style = {"color": PLAIN, "linewidth": 0.9, "linestyle": (0, (2, 3)), "zorder": 1}
    axes.axhline(plain["wer"] * 100, **style)
    axes.axvline(plain["times_real_time"], **style)


def _point(axes: Axes, row: dict, label: "_Label") -> None:
    family = next((each for each in _MARKS if row["engine"].startswith(each)), "")
    colour, mark = _MARKS.get(family, (OTHERS, "D"))
    is_ours = family == "ytcaption"
    x, y = row["times_real_time"], row["wer"] * 100
    axes.scatter(
        [x], [y], s=95 if is_ours else 55, c=colour, marker=mark,
        edgecolors="white", linewidths=1.2, zorder=3,
    )  # fmt: skip
    is_moved = abs(label.height - label.wanted) > _LABEL_GAP / 2
    line = {"arrowstyle": "-", "color": "#AAAAAA", "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4}
    axes.annotate(
        label.text,
        (x, y),
        xytext=(label.end if label.is_left else label.start, label.height),
        textcoords="axes fraction",
        va="center", ha="right" if label.is_left else "left",
        fontsize=9, color=colour if family else "#555555",
        fontweight="bold" if is_ours else "normal", zorder=4,
        # Text with an outline would be written as thousands of curves.
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
        arrowprops={**line, "relpos": (float(label.is_left), 0.5)} if is_moved else None,
    )  # fmt: skip


@dataclass
class _Label:
    """The position of a label, in fractions of a panel's width and height.

    Attributes:
        start, end: its left and right edge.
        wanted: the height of its point.
    """

    text: str
    start: float
    end: float
    height: float
    wanted: float
    is_left: bool

    def overlap(self, other: "_Label") -> float:
        """Return how far the labels must be moved apart; 0 if they do not overlap."""
        if self.end < other.start or other.end < self.start:
            return 0.0
        return max(0.0, _LABEL_GAP - abs(self.height - other.height))


def _labels(axes: Axes, rows: list[dict]) -> list[_Label]:
    """Place each label beside its point; move overlapping ones up and down."""
    labels = []
    for row in rows:
        ratio = "" if row["ratio"] is None else f"  {row['ratio']:.1f}x"
        text = ARMS[row["engine"]].title + ratio
        x, y = axes.transAxes.inverted().transform(
            axes.transData.transform((row["times_real_time"], row["wer"] * 100))
        )
        width = len(text) * (0.0185 if row["engine"].startswith("ytcaption") else 0.0165)
        is_left = x + 0.025 + width > 1
        start = x - 0.025 - width if is_left else x + 0.025
        labels.append(_Label(text, start, start + width, y, y, is_left))
    order = sorted(labels, key=lambda each: each.wanted)
    for _ in range(200):
        for lower, upper in combinations(order, 2):
            lacking = lower.overlap(upper)
            lower.height -= lacking / 2
            upper.height += lacking / 2
    return labels
