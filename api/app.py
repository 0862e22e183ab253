"""The API: `uvicorn api.app:create_app --factory`."""

import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import error_handlers, openapi
from api.analytics import Analytics
from api.channels import CallersChannels
from api.cors import Cors
from api.dependencies import Parts
from api.endings import CallersEndings
from api.identity import Door, Identity
from api.key_ring import KeyRing
from api.logs import configure_logging
from api.metrics import Measured, Metrics, StateCollector
from api.middleware import BodyLimit, RequestEnvelope
from api.openai_audio import OpenAIAudio
from api.operating import Operating
from api.partition_queue import PartitionQueue
from api.probes import probes
from api.rate_limit import rate_limiter
from api.readiness import Readiness
from api.routes import (
    admin,
    analytics,
    audio,
    channels,
    deliveries,
    endings,
    events,
    health,
    history,
    keys,
    metrics,
    openai_audio,
    options,
    pages,
    reports,
    results,
    search,
    transcriptions,
    uploads,
    usage,
    versions,
    webhooks,
)
from api.submission import Submitter
from api.tracing import Traced
from api.upload_intake import UploadIntake
from api.version import VERSION
from api.watch import Watcher
from resources.access import check_bind
from resources.api_keys import ApiKeys
from resources.channel_listing import ChannelLister
from resources.channel_store import ChannelStore
from resources.database_urls import database_urls
from resources.deliveries import Deliveries
from resources.jwt_tokens import JwtTokens
from resources.object_store import ObjectStore
from resources.orchestrator import Orchestrator
from resources.postgres import Postgres, close_pools
from resources.request_store import RequestStore
from resources.search import Search
from resources.sites import check_sites, warm_up
from resources.telemetry import start_telemetry, stop_telemetry
from resources.uploads import Uploads
from resources.webhooks import Webhooks
from resources.worker_embedder import warm_embedder_of
from ytcaption_assets.domain.errors import SetupError
from ytcaption_assets.settings import Settings, load_settings

logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API of one installation; nothing is opened before it starts.

    Args:
        settings: those of the environment when None, as uvicorn calls it.

    Raises:
        SetupError: settings that cannot be used, or an address that others can reach (rule 21).
        SystemExit: the same without `settings`: uvicorn would add a traceback to the sentence.
    """
    if settings is None:
        try:
            settings = load_settings()
            configure_logging(settings.log_format)  # uvicorn's first lines, too
            return create_app(settings)
        except SetupError as error:
            raise SystemExit(f"ytcaption: {error.message}") from None
    rate_limiter(settings)  # its URL can be used
    check_bind(settings)
    check_sites(settings.sites)
    app = FastAPI(
        title="ytcaption",
        version=VERSION,
        lifespan=_lifespan,
        openapi_url="/openapi.json",
        docs_url=None,  # FastAPI's page comes from a CDN; pages.py has ours
        redoc_url=None,
        redirect_slashes=False,
        # tracing.py has ours: FastAPI's would record bodies and the messages of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    app.state.metrics = Metrics(workers=settings.api_workers)
    routers = (
        transcriptions.router,
        uploads.router,
        openai_audio.router,
        results.router,
        events.router,
        history.router,
        audio.router,
        versions.router,
        endings.router,
        channels.router,
        search.router,
        options.router,
        usage.router,
        analytics.router,
        webhooks.router,
        keys.router,
        admin.router,
        deliveries.router,
        reports.router,
        metrics.router,
        health.router,
    )
    for router in routers:
        app.include_router(router)
    app.webhooks.include_router(webhooks.received)
    pages.install(app)
    error_handlers.install(app)
    openapi.install(app, routers)
    app.add_middleware(BodyLimit)
    app.add_middleware(Identity)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    app.add_middleware(Measured, metrics=app.state.metrics)
    app.add_middleware(RequestEnvelope)
    app.add_middleware(Traced)  # added last, so outermost
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    configure_logging(settings.log_format)
    started_at = time.perf_counter()
    start_telemetry(settings.otlp_endpoint, "ytcaption-api")
    warm_up(settings.sites)
    orchestrator = Orchestrator()
    object_store = ObjectStore.from_settings(settings)
    postgres = Postgres.from_settings(settings, "api")
    partitions = PartitionQueue(orchestrator)
    api_keys = ApiKeys(postgres)
    door = Door(
        settings, KeyRing(api_keys), JwtTokens.from_settings(settings), rate_limiter(settings)
    )
    watcher = Watcher(postgres, settings.streams_per_caller)
    readiness = Readiness(probes(postgres, object_store, orchestrator) | door.limiter.probes())
    app.state.metrics.show(StateCollector(postgres, readiness))
    request_store = RequestStore(postgres=postgres)
    channel_store = ChannelStore(postgres=postgres)
    lister = ChannelLister.from_settings(settings)
    operating = Operating(settings, postgres, orchestrator)
    submitter = Submitter(settings, request_store, partitions, operating)
    upload_intake = UploadIntake(Uploads.from_settings(settings, object_store, postgres), submitter)
    app.state.parts = Parts(
        settings=settings,
        request_store=request_store,
        object_store=object_store,
        readiness=readiness,
        watcher=watcher,
        submitter=submitter,
        operating=operating,
        endings=CallersEndings(settings, request_store, partitions, operating, orchestrator),
        channels=CallersChannels(settings, channel_store, lister),
        channel_store=channel_store,
        uploads=upload_intake,
        openai_audio=OpenAIAudio(settings, upload_intake, watcher, request_store, object_store),
        api_keys=api_keys,
        webhooks=Webhooks(settings, postgres),
        deliveries=Deliveries(postgres),
        search=Search(postgres, warm_embedder_of(settings)),
        door=door,
        analytics=Analytics(settings),
    )
    # Opening Dagster's instance takes a second: not in the first request's way, nor in the start's.
    threading.Thread(target=orchestrator.problem, name="open-dagster", daemon=True).start()
    partitions.start()
    await door.key_ring.start()
    watcher.start()
    logger.info("API %s started in %.2f s", VERSION, time.perf_counter() - started_at)
    try:
        yield
    finally:
        await watcher.close()
        await door.close()
        partitions.close()
        operating.close()
        orchestrator.close()
        close_pools(database_urls(settings))
        stop_telemetry()
