"""`ytcaption models list|fetch`: the model weights on this machine."""

from typing import Annotated

import typer

app = typer.Typer(help="Whisper models: list them, download them.", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List all models with their size, their sources, and whether they are on this machine."""
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    from resources.models.store import model_states
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    table = Table("model", "size", "languages", "local", "sources")
    for state in model_states(settings.models_home):
        name = f"{state.name} (default)" if state.name == settings.speech.model else state.name
        allowed = state.name in settings.speech.models
        table.add_row(
            name,
            decimal(state.size_bytes),
            "many" if state.multilingual else "English",
            "yes" if state.is_installed else "no",
            ", ".join(state.sources) if allowed else "not in YTCAPTION_MODELS",
        )
    Console().print(table)


@app.command("fetch")
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Default: the default model.")
    ] = None,
) -> None:
    """Download models, verify them against their pinned hashes, and store them under the home."""
    from rich.console import Console

    from resources.models.store import ensure_model
    from ytcaption.domain.errors import UnknownModel
    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.progress import Bars

    settings = load_settings()
    console = Console(stderr=True, highlight=False)
    for name in names or [settings.speech.model]:
        if name not in settings.speech.models:
            raise UnknownModel(
                f"Unknown model '{name[:60]}'. "
                f"This installation offers: {', '.join(settings.speech.models)}."
            )
        with Bars(console) as bars, bars.downloading(f"model {name}") as on_progress:
            files = ensure_model(
                name, settings.models_home, on_progress, settings.speech.pip_index_url
            )
        console.print(f"{name} is in {files.directory}", markup=False, soft_wrap=True)
