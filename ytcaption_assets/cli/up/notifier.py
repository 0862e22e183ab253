"""The command `ytcaption notifier`."""


def notifier() -> None:
    """Send webhooks, and alerts about problems that only operators can solve.

    `ytcaption up` starts one itself; any number can run in parallel, on any machine. SIGTERM and
    Ctrl-C stop it. Exit status: 0 stopped, 1 it could not start.
    """
    import asyncio
    import logging
    import signal

    from resources.maintenance.pipeline_watch import PipelineWatch
    from resources.postgres.connection import Postgres
    from resources.postgres.restore_mark import require_settled
    from resources.processes.runtime_directory import make_runtime_directory, runtime_directory
    from resources.telemetry.logs import log_handler
    from resources.webhooks.notifier import MARK, Notifier
    from ytcaption.settings.settings import load_settings
    from ytcaption.settings.settings_file import file_in_force

    settings = load_settings()
    require_settled(settings)
    logging.getLogger().addHandler(log_handler(settings.operation.log_format))
    for name in ("ytcaption", "ytcaption_assets", "resources"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger(__name__).info(file_in_force())
    make_runtime_directory(settings.home)
    mark = runtime_directory(settings.home) / MARK
    watch = PipelineWatch(settings, Postgres.from_settings(settings, "api"))

    async def work() -> None:
        task = asyncio.create_task(Notifier(settings, mark.touch, watch.look).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()  # raises its exception

    asyncio.run(work())
