"""`ytcaption models list|fetch`: the weights on this machine."""

from typing import Annotated

import typer

app = typer.Typer(
    help="The Whisper models: which there are, and fetching them.", no_args_is_help=True
)


@app.command("list")
def list_models() -> None:
    """Every model that may be asked for: its size, its sources, whether it is here."""
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    from resources.models.store import model_states
    from ytcaption.settings import load_settings

    settings = load_settings()
    table = Table("model", "size", "languages", "here", "sources")
    for state in model_states(settings.models_home):
        name = f"{state.name} (default)" if state.name == settings.model else state.name
        allowed = state.name in settings.models
        table.add_row(
            name,
            decimal(state.size_bytes),
            "many" if state.multilingual else "English",
            "yes" if state.is_installed else "no",
            ", ".join(state.sources) if allowed else "not on the list YTCAPTION_MODELS",
        )
    Console().print(table)


@app.command("fetch")
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="The default one if none.")
    ] = None,
) -> None:
    """Downloads models, compares them with their pinned hashes, and keeps them under the home."""
    from rich.console import Console

    from resources.models.store import ensure_model
    from ytcaption.domain.errors import UnknownModel
    from ytcaption.settings import load_settings
    from ytcaption_assets.cli.progress import Bars

    settings = load_settings()
    console = Console(stderr=True, highlight=False)
    for name in names or [settings.model]:
        if name not in settings.models:
            raise UnknownModel(
                f"Unknown model '{name[:60]}'. "
                f"This installation offers: {', '.join(settings.models)}."
            )
        with Bars(console) as bars, bars.downloading(f"model {name}") as on_progress:
            files = ensure_model(name, settings.models_home, on_progress, settings.pip_index_url)
        console.print(f"{name} is in {files.directory}", markup=False, soft_wrap=True)
