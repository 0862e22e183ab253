"""`ytcaption bench-model`: what this machine does with each model."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from resources.processes.native_threads import decoding_environment
from ytcaption.domain.errors import SetupError, UnknownModel, YtcaptionError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ytcaption.settings import Settings

ENGINES = ("sequential", "batched")


@dataclass(frozen=True)
class Measured:
    """One engine with one model, in a process of its own.

    Attributes:
        device: `cpu` or `cuda`.
        compute_type: CTranslate2's, such as `int8`.
        load_s: from nothing to a model that is ready.
        audio_s, took_s: what was heard, and in which time, voice detection included.
        peak_bytes: most memory that the process had at a time; a GPU's is not in it.
    """

    device: str
    compute_type: str
    load_s: float
    audio_s: float
    took_s: float
    peak_bytes: int

    @property
    def times_real_time(self) -> float:
        """Seconds of audio a second."""
        return self.audio_s / self.took_s


def bench_model(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="All that are on this machine if none; those that are not are fetched.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        int, typer.Option(min=5, max=3600, help="Speech that each of them hears.")
    ] = 60,
) -> None:
    """How fast each model is here, with either engine, and the memory it takes.

    Each hears the bundled sample, over and over with a pause in between, in a process of its own.
    """
    from rich.console import Console

    from ytcaption.settings import load_settings

    settings = load_settings()
    console = Console(stderr=True, highlight=False)
    table, errors = _table(), []
    for name in models or _at_hand(settings):
        for engine in ENGINES:
            try:
                row = _row(_measured(name, engine, seconds, settings, console))
            except YtcaptionError as error:
                errors.append(f"{name}: {error.message}")
                break
            table.add_row(name, engine, *row)
    if table.row_count:
        Console().print(table)
    for error in errors:
        console.print(error, markup=False, soft_wrap=True)
    if errors:
        raise typer.Exit(1)


def _at_hand(settings: "Settings") -> Sequence[str]:
    """Models that are here and may be asked for; the default one where there are none."""
    from resources.models.store import model_states

    here = [each.name for each in model_states(settings.models_home) if each.is_installed]
    return [name for name in here if name in settings.models] or [settings.model]


def _measured(
    name: str, engine: str, seconds: int, settings: "Settings", console: "Console"
) -> Measured:
    from resources.models.store import ensure_model
    from ytcaption_assets.cli.progress import Bars

    if name not in settings.models:
        raise UnknownModel(
            f"Unknown model '{name[:60]}'. This installation offers: {', '.join(settings.models)}."
        )
    with Bars(console) as bars:
        with bars.downloading(f"model {name}") as on_bytes:
            ensure_model(name, settings.models_home, on_bytes, settings.pip_index_url)
        with bars.transcribing(f"{name}, {engine}") as on_progress:
            return _child(name, engine, seconds, on_progress)


def _child(
    name: str, engine: str, seconds: int, on_progress: Callable[[float, float], None]
) -> Measured:
    """What a process of its own finds: what one model leaves in memory, the next does not pay."""
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ytcaption_assets.cli.models.bench_process",
            name,
            engine,
            str(seconds),
        ],
        stdin=subprocess.PIPE,  # it ends when this closes
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=decoding_environment(os.environ),
    )
    assert child.stdout is not None
    try:
        found = _last_line(child.stdout, on_progress)
        code = child.wait()
    finally:
        child.kill()
        child.wait()
    if "error" in found:
        raise SetupError(found["error"])
    if "measured" not in found:
        why = "it was killed, probably for memory" if code == -signal.SIGKILL else f"status {code}"
        raise SetupError(f"The process that measures ended by itself ({why}).")
    return Measured(**found["measured"])


def _last_line(lines: IO[str], on_progress: Callable[[float, float], None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        found = json.loads(line)
        if "progress" in found:
            on_progress(*found["progress"])
    return found


def _table() -> "Table":
    from rich.table import Table

    table = Table("model", "engine", "device", "numbers")
    for title in ("load", "times real time", "an hour takes", "memory"):
        table.add_column(title, justify="right")
    return table


def _row(measured: Measured) -> list[str]:
    from rich.filesize import decimal

    hour_s = round(3600 / measured.times_real_time)
    return [
        measured.device,
        measured.compute_type,
        f"{measured.load_s:.1f} s",
        f"{measured.times_real_time:.1f}",
        f"{hour_s // 60}:{hour_s % 60:02} min",
        decimal(measured.peak_bytes),
    ]
