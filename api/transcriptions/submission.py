"""Submission: the one way in which requests are accepted, of links, batches and uploads."""

from collections.abc import Sequence

from api.transcriptions.partition_queue import PartitionQueue
from api.transcriptions.pauses import PauseControl
from api.transcriptions.request_schemas import RequestOptions, TranscriptionRequest
from resources.sites.resolve import checked_url, resolve_source
from resources.telemetry.trace_context import current_traceparent
from resources.transcriptions.idempotency import IdempotencyKey
from resources.transcriptions.quotas import limits_of
from resources.transcriptions.rows import Callback, Refusal, Submission
from resources.transcriptions.rows import TranscriptionRequest as StoredRequest
from resources.transcriptions.store import RequestStore
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import checked_options
from ytcaption.settings.settings import Settings


class Submitter:
    """Validates requests, stores them, and adds their partitions to Dagster."""

    def __init__(
        self,
        settings: Settings,
        request_store: RequestStore,
        partitions: PartitionQueue,
        pause_control: PauseControl,
    ) -> None:
        self._settings = settings
        self._request_store = request_store
        self._partitions = partitions
        self._pause_control = pause_control

    def submit(
        self,
        caller: Caller,
        options: RequestOptions,
        *,
        source: MediaSource | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> Submission:
        """Store one request.

        Args:
            options: a `TranscriptionRequest`, unless `source` is given.
            source: of media that is stored already, such as an upload.
            idempotency: a repeated request gets the first answer, even if the intake is paused or
                a quota is used up by then.

        Raises:
            InputError: the request cannot be carried out.
            AccessError: the caller's quota is used up.
            IntakePaused: the intake is paused.
            DatabaseUnavailable: nothing was stored.
        """
        if idempotency is not None:
            earlier = self._request_store.stored_answer(caller.owner, idempotency)
            if earlier and isinstance(earlier[0], Submission):
                return earlier[0]
        request = self.checked(options, source)
        self._pause_control.check_intake()
        submission = self._request_store.submit(
            request.source,
            request.options,
            priority=request.priority,
            metadata=request.metadata,
            callback=request.callback,
            pinned=request.pinned,
            owner=caller.owner,
            traceparent=current_traceparent(),
            idempotency=idempotency,
            limits=limits_of(caller, self._settings),
        )
        if submission.queued:
            self._partitions.add(submission.transcription.id)
        return submission

    def check_intake(self) -> None:
        """Check, before a file is received, that requests are accepted at the moment.

        Raises:
            IntakePaused: the intake is paused.
            DatabaseUnavailable: nothing could be stored.
        """
        self._pause_control.check_intake()

    def stored_answer(
        self, caller: Caller, idempotency: IdempotencyKey
    ) -> list[Submission | Refusal] | None:
        """Return the answer to an earlier request with this key; None if there was none.

        Raises:
            DatabaseUnavailable, IdempotencyMismatch: as `submit_many`.
        """
        return self._request_store.stored_answer(caller.owner, idempotency)

    def submit_many(
        self,
        caller: Caller,
        items: Sequence[TranscriptionRequest | Refusal],
        *,
        idempotency: IdempotencyKey | None = None,
    ) -> list[Submission | Refusal]:
        """Store many requests in one transaction, each answered separately, in their order.

        Args:
            items: a refusal stands for an item that is not valid.
            idempotency: of the whole batch. Look for its `stored_answer` first: a repeated batch is
                answered while the intake is paused, too.

        Raises:
            IntakePaused, DatabaseUnavailable, IdempotencyMismatch: for the whole batch.
        """
        requests = [
            item if isinstance(item, Refusal) else self._checked_or_refused(item) for item in items
        ]
        self._pause_control.check_intake()
        outcomes = self._request_store.submit_many(
            requests,
            owner=caller.owner,
            traceparent=current_traceparent(),
            idempotency=idempotency,
            limits=limits_of(caller, self._settings),
        )
        for outcome in outcomes:
            if isinstance(outcome, Submission) and outcome.queued:
                self._partitions.add(outcome.transcription.id)
        return outcomes

    def _checked_or_refused(self, request: TranscriptionRequest) -> StoredRequest | Refusal:
        try:
            return self.checked(request)
        except YtcaptionError as error:
            return Refusal.of(error)

    def checked(self, options: RequestOptions, source: MediaSource | None = None) -> StoredRequest:
        """Return the request as the store takes it.

        Raises:
            InputError: it cannot be carried out.
        """
        settings = self._settings
        transcription_options = checked_options(
            model=settings.speech.model if options.model is None else options.model,
            allowed_models=settings.speech.models,
            language=options.language,
            task=options.task,
            initial_prompt=options.initial_prompt,
            hotwords=options.hotwords,
            temperature=options.temperature,
            captions=options.captions,
        )
        if source is None:
            assert isinstance(options, TranscriptionRequest), "neither a link nor a source"
            source = resolve_source(
                options.source_url,
                sites=settings.download.sites,
                allowed_networks=settings.download.allowed_networks,
            )
        callback = None
        if options.callback_url is not None:
            url = checked_url(options.callback_url, settings)
            callback = Callback(url, options.callback_include)
        return StoredRequest(
            source,
            transcription_options,
            options.priority,
            metadata=options.metadata,
            callback=callback,
            pinned=options.pinned,
        )
