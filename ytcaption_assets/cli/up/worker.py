"""The command `ytcaption worker`."""

import logging
import os
from typing import Annotated

import typer


def worker(
    host: Annotated[
        str | None,
        typer.Option(help="Listen on this address for other machines; default: a Unix socket."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For --host; 0: any.")] = 8100,
    number: Annotated[
        int, typer.Option(min=0, max=999, help="Number among the workers of this machine.")
    ] = 0,
    gpu: Annotated[
        int | None, typer.Option(min=0, help="Use only this GPU, counted from 0.")
    ] = None,
) -> None:
    """Load the models and transcribe for runs on this machine, or with --host on any machine.

    `ytcaption up` starts one per GPU, or one. SIGTERM and Ctrl-C stop it; work in progress has
    YTCAPTION_WORKER_DRAIN_S to finish. Exit status: 0 stopped, 1 it could not start.
    """
    from resources.processes.native_threads import restart_for_decoding

    restart_for_decoding()
    from resources.telemetry.logs import log_handler
    from ytcaption.settings.settings import load_settings
    from ytcaption.settings.settings_file import file_in_force

    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_gpu(gpu)
    from resources.postgres.restore_mark import require_settled
    from resources.worker.server import serve_here, serve_others

    settings = load_settings()
    require_settled(settings)
    root = logging.getLogger()
    root.addHandler(log_handler(settings.operation.log_format))
    for name in ("ytcaption", "ytcaption_assets", "resources"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger(__name__).info(file_in_force())
    if host is None:
        serve_here(settings, number)
    else:
        serve_others(settings, host, port)


def visible_gpu(number: int) -> str:
    """Return CUDA's name of one of the GPUs that this process may use."""
    names = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    return names[number].strip() if number < len(names) else str(number)
