"""The API: `uvicorn api.app:create_app --factory`."""

import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import openapi
from api.admin import routes as admin
from api.analytics import report_routes as reports
from api.analytics import routes as analytics
from api.analytics.service import Analytics
from api.auth import routes as keys
from api.auth import usage_routes as usage
from api.auth.authentication import Authentication, Authenticator
from api.auth.rate_limit import rate_limiter
from api.channels import routes as channels
from api.channels.service import ChannelService
from api.events import routes as events
from api.http import error_handlers
from api.http.cors import Cors
from api.http.logs import configure_logging
from api.http.middleware import BodyLimit, RequestEnvelope
from api.http.same_origin import SameOrigin, own_origins
from api.http.time_budget import TimeBudget
from api.http.tracing import RequestTracing
from api.long_work import LongWork
from api.monitoring import health_routes as health
from api.monitoring import metrics_routes as metrics
from api.monitoring.metrics import Metrics, RequestMetrics, StateCollector
from api.monitoring.probes import probes
from api.monitoring.readiness import Readiness
from api.openai import routes as openai_audio
from api.openai.audio import OpenAIAudio
from api.pages import routes as pages
from api.parts import Parts
from api.search import routes as search
from api.transcriptions import action_routes as actions
from api.transcriptions import audio_routes as audio
from api.transcriptions import history_routes as history
from api.transcriptions import option_routes as options
from api.transcriptions import result_routes as results
from api.transcriptions import routes as transcriptions
from api.transcriptions.actions import CallerActions
from api.transcriptions.partition_queue import PartitionQueue
from api.transcriptions.pauses import PauseControl
from api.transcriptions.submission import Submitter
from api.transcriptions.watch import Watcher
from api.uploads import routes as uploads
from api.uploads.intake import UploadIntake
from api.version import VERSION
from api.versions import routes as versions
from api.webhooks import delivery_routes as deliveries
from api.webhooks import routes as webhooks
from resources.auth.api_key_cache import ApiKeyCache
from resources.auth.api_keys import ApiKeys
from resources.auth.bind_check import check_bind
from resources.auth.jwt_tokens import JwtTokens
from resources.channels.listing.lister import ChannelLister
from resources.channels.store import ChannelStore
from resources.download.uploads import Uploads
from resources.http_server.connections import (
    TABLE,
    ConnectionLimits,
    ConnectionTable,
    raise_descriptor_limit,
)
from resources.object_store.store import ObjectStore
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.restore_mark import require_settled
from resources.postgres.server_check import check_servers
from resources.postgres.urls import database_urls
from resources.search.service import Search
from resources.sites.resolve import check_sites, warm_up
from resources.telemetry.spans import start_telemetry, stop_telemetry
from resources.transcriptions.store import RequestStore
from resources.webhooks.deliveries import Deliveries
from resources.webhooks.store import Webhooks
from resources.worker.embedder import warm_embedder_of
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)
from ytcaption.settings.settings_file import file_in_force

logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the API of one installation; connections are opened when the app starts.

    Args:
        settings: read from the environment when None, as uvicorn calls it.

    Raises:
        SetupError: a restore has not ended, the settings cannot be used, or they would open the API
            to other machines without authentication (see docs/adr/security-rules.md#rule-21).
        SystemExit: the same, when called without `settings`: uvicorn would add a traceback.
    """
    if settings is None:
        try:
            settings = load_settings()
            configure_logging(settings.operation.log_format)  # before uvicorn logs its first lines
            logger.info(file_in_force())
            _check_database(settings)
            return create_app(settings)
        except SetupError as error:
            raise SystemExit(f"ytcaption: {error.message}") from None
    require_settled(settings)
    rate_limiter(settings)  # raises when its URL cannot be used
    check_bind(settings)
    check_sites(settings.download.sites)
    app = FastAPI(
        title="ytcaption",
        version=VERSION,
        lifespan=_lifespan,
        openapi_url="/openapi.json",
        docs_url=None,  # FastAPI's page loads from a CDN; `api.pages` serves a local one
        redoc_url=None,
        redirect_slashes=False,
        # `api.http.tracing` traces instead: FastAPI would record bodies and exception messages.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.settings = settings
    app.state.metrics = Metrics(workers=settings.api.api_workers)
    routers = (
        transcriptions.router,
        uploads.router,
        openai_audio.router,
        results.router,
        events.router,
        history.router,
        audio.router,
        versions.router,
        actions.router,
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
    app.webhooks.include_router(webhooks.receiver)
    pages.install(app)
    error_handlers.install(app)
    openapi.install(app, routers)
    app.add_middleware(BodyLimit)
    app.add_middleware(Authentication)
    app.add_middleware(TimeBudget)
    app.add_middleware(SameOrigin, trusted=own_origins(settings))
    if settings.api.cors_origins:
        app.add_middleware(Cors, origins=settings.api.cors_origins)
    app.add_middleware(RequestMetrics, metrics=app.state.metrics)
    app.add_middleware(RequestEnvelope)
    app.add_middleware(RequestTracing)  # added last, so outermost
    return app


def _check_database(settings: Settings) -> None:
    try:
        check_servers(settings)
    except DatabaseUnavailable as error:
        logger.warning("%s The API starts without it.", error)  # `/readyz` says the same


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, ConnectionTable]]:
    settings: Settings = app.state.settings
    configure_logging(settings.operation.log_format)
    started_at = time.perf_counter()
    raise_descriptor_limit()
    start_telemetry(settings.operation.otlp_endpoint, "ytcaption-api")
    warm_up(settings.download.sites)
    orchestrator = Orchestrator()
    object_store = ObjectStore.from_settings(settings)
    postgres = Postgres.from_settings(settings, "api")
    partitions = PartitionQueue(orchestrator)
    api_keys = ApiKeys(postgres)
    authenticator = Authenticator(
        settings, ApiKeyCache(api_keys), JwtTokens.from_settings(settings), rate_limiter(settings)
    )
    watcher = Watcher(postgres, settings.api.streams_per_caller)
    long_work = LongWork()
    readiness = Readiness(
        probes(settings, postgres, object_store, orchestrator) | authenticator.limiter.probes()
    )
    app.state.metrics.show(StateCollector(settings, postgres, readiness, orchestrator))
    channel_store = ChannelStore(postgres=postgres)
    lister = ChannelLister.from_settings(settings)
    pause_control = PauseControl(settings, postgres, orchestrator)
    submitter = Submitter(settings, RequestStore(postgres=postgres), partitions, pause_control)
    upload_intake = UploadIntake(Uploads.from_settings(settings, object_store, postgres), submitter)
    app.state.parts = Parts(
        settings=settings,
        postgres=postgres,
        object_store=object_store,
        readiness=readiness,
        long_work=long_work,
        watcher=watcher,
        submitter=submitter,
        pause_control=pause_control,
        actions=CallerActions(
            settings, postgres, partitions, pause_control, orchestrator, long_work.erasures
        ),
        channels=ChannelService(settings, channel_store, lister),
        channel_store=channel_store,
        uploads=upload_intake,
        openai_audio=OpenAIAudio(
            settings,
            upload_intake,
            watcher,
            long_work.results,
            postgres,
            object_store,
            authenticator,
        ),
        api_keys=api_keys,
        webhooks=Webhooks(settings, postgres),
        deliveries=Deliveries(postgres),
        search=Search(postgres, warm_embedder_of(settings)),
        authenticator=authenticator,
        analytics=Analytics(settings),
    )
    # Opening Dagster's instance takes a second: neither the start nor the first request waits.
    threading.Thread(target=orchestrator.problem, name="open-dagster", daemon=True).start()
    partitions.start()
    await authenticator.key_cache.start()
    watcher.start()
    logger.info("API %s started in %.2f s", VERSION, time.perf_counter() - started_at)
    try:
        yield {TABLE: ConnectionTable(ConnectionLimits.from_settings(settings))}
    finally:
        await watcher.close()
        await authenticator.close()
        partitions.close()
        pause_control.close()
        orchestrator.close()
        close_pools(database_urls(settings))
        stop_telemetry()
