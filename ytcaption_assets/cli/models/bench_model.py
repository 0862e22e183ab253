"""`ytcaption bench-model`: measure the speed and memory of models on this machine."""

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
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ytcaption.settings.settings import Settings

ENGINES = ("sequential", "batched")


@dataclass(frozen=True)
class Measured:
    """Measurements of one engine with one model, in a separate process.

    Attributes:
        device: `cpu` or `cuda`.
        compute_type: CTranslate2's, such as `int8`.
        load_s: time to load the model.
        audio_s, took_s: duration of the audio, and time to transcribe it, with speech detection.
        peak_bytes: peak memory of the process, without GPU memory.
    """

    device: str
    compute_type: str
    load_s: float
    audio_s: float
    took_s: float
    peak_bytes: int

    @property
    def times_real_time(self) -> float:
        """Seconds of audio transcribed per second."""
        return self.audio_s / self.took_s


def bench_model(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Models, downloaded if needed; default: all on this machine.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        int, typer.Option(min=5, max=3600, help="Seconds of speech to transcribe with each.")
    ] = 60,
) -> None:
    """Measure the speed and memory of each model on this machine, with both engines.

    Each one transcribes the bundled sample repeatedly, in a separate process.
    """
    from rich.console import Console

    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    console = Console(stderr=True, highlight=False)
    table, errors = _table(), []
    for name in models or _local_models(settings):
        for engine in ENGINES:
            try:
                row = _row(_measure(name, engine, seconds, settings, console))
            except YtcaptionError as error:
                errors.append(f"{name}: {error.message}")
                break
            table.add_row(name, engine, *row)
    if table.row_count:
        Console().print(table)
    for error in errors:
        console.print(printable(error), markup=False, soft_wrap=True)
    if errors:
        raise typer.Exit(1)


def _local_models(settings: "Settings") -> Sequence[str]:
    """Return the allowed models on this machine, or the default one if there are none."""
    from resources.models.store import model_states

    names = [each.name for each in model_states(settings.models_home) if each.is_installed]
    return [name for name in names if name in settings.speech.models] or [settings.speech.model]


def _measure(
    name: str, engine: str, seconds: int, settings: "Settings", console: "Console"
) -> Measured:
    from resources.models.store import ensure_model
    from ytcaption_assets.cli.progress import Bars

    if name not in settings.speech.models:
        raise UnknownModel(
            f"Unknown model '{name[:60]}'. "
            f"This installation offers: {', '.join(settings.speech.models)}."
        )
    with Bars(console) as bars:
        with bars.downloading(f"model {name}") as on_bytes:
            ensure_model(name, settings.models_home, on_bytes, settings.speech.pip_index_url)
        with bars.transcribing(f"{name}, {engine}") as on_progress:
            return _child(name, engine, seconds, on_progress)


def _child(
    name: str, engine: str, seconds: int, on_progress: Callable[[float, float], None]
) -> Measured:
    """Measure in a separate process, so that no memory is left of an earlier model."""
    from ytcaption.settings.secret_variables import only_secrets

    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ytcaption_assets.cli.models.bench_process",
            name,
            engine,
            str(seconds),
        ],
        stdin=subprocess.PIPE,  # the process ends when this closes
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=decoding_environment(only_secrets(os.environ, ())),
    )
    assert child.stdout is not None
    try:
        answer = _last_line(child.stdout, on_progress)
        code = child.wait()
    finally:
        child.kill()
        child.wait()
    if "error" in answer:
        raise SetupError(answer["error"])
    if "measured" not in answer:
        killed = code == -signal.SIGKILL
        reason = "it was killed, probably for lack of memory" if killed else f"status {code}"
        raise SetupError(f"The measuring process ended unexpectedly ({reason}).")
    return Measured(**answer["measured"])


def _last_line(lines: IO[str], on_progress: Callable[[float, float], None]) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for line in lines:
        message = json.loads(line)
        if "progress" in message:
            on_progress(*message["progress"])
    return message


def _table() -> "Table":
    from rich.table import Table

    table = Table("model", "engine", "device", "compute type")
    for title in ("load", "times real time", "one hour takes", "memory"):
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
