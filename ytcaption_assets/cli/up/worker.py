"""The command `ytcaption worker`."""

import logging
import os
from typing import Annotated

import typer


def worker(
    host: Annotated[
        str | None,
        typer.Option(help="Address, for runs of other machines; else a socket of this one."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="With --host; 0 is any.")] = 8100,
    number: Annotated[
        int, typer.Option(min=0, max=999, help="Of several workers with sockets on this machine.")
    ] = 0,
    gpu: Annotated[
        int | None, typer.Option(min=0, help="Use this GPU alone, counted from 0.")
    ] = None,
) -> None:
    """Holds the models and hears for runs: those of this machine, or with --host of any.

    `ytcaption up` starts one a GPU, or one, by itself. SIGTERM and Ctrl-C stop it: what it hears
    is finished within YTCAPTION_WORKER_DRAIN_S. Exit status: 0 stopped, 1 it could not start.
    """
    from resources.processes.native_threads import restart_for_decoding

    restart_for_decoding()
    from resources.telemetry.logs import log_handler
    from ytcaption.settings import load_settings

    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_gpu(gpu)
    from resources.worker.server import serve_here, serve_others

    settings = load_settings()
    root = logging.getLogger()
    root.addHandler(log_handler(settings.log_format))
    for name in ("ytcaption", "ytcaption_assets", "resources"):
        logging.getLogger(name).setLevel(logging.INFO)
    if host is None:
        serve_here(settings, number)
    else:
        serve_others(settings, host, port)


def visible_gpu(number: int) -> str:
    """CUDA's name of one of the GPUs that this process may use."""
    seen = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    return seen[number].strip() if number < len(seen) else str(number)
