"""How anybody asks for a transcription: one link, many, an upload, OpenAI's clients."""

from collections.abc import Sequence

from api.transcriptions.partition_queue import PartitionQueue
from api.transcriptions.pauses import Operating
from api.transcriptions.request_schemas import OptionsAsked, TranscriptionCreate
from resources.sites.resolve import checked_url, resolve_source
from resources.telemetry.trace_context import current_traceparent
from resources.transcriptions.idempotency import IdempotencyKey
from resources.transcriptions.quotas import limits_of
from resources.transcriptions.rows import Callback, Refusal, Submission, TranscriptionRequest
from resources.transcriptions.store import RequestStore
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import checked_options
from ytcaption.settings import Settings


class Submitter:
    """Checks what is asked for, keeps it, and tells Dagster's partitions of it."""

    def __init__(
        self,
        settings: Settings,
        request_store: RequestStore,
        partitions: PartitionQueue,
        operating: Operating,
    ) -> None:
        self._settings = settings
        self._request_store = request_store
        self._partitions = partitions
        self._operating = operating

    def submit(
        self,
        caller: Caller,
        asked: OptionsAsked,
        *,
        source: MediaSource | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> Submission:
        """Keep one request.

        Args:
            asked: with a link, unless `source` is given.
            source: of bytes that are here already, such as an upload's.
            idempotency: the same again gives the first answer, whatever is paused or used up since.

        Raises:
            InputError: what is asked for cannot be done.
            AccessError: the caller may not have more.
            IntakePaused: the operator takes nothing at the moment.
            DatabaseUnavailable: nothing was kept; ask again.
        """
        if idempotency is not None:
            earlier = self._request_store.stored_answer(caller.owner, idempotency)
            if earlier and isinstance(earlier[0], Submission):
                return earlier[0]
        request = self.checked(asked, source)
        self._operating.check_intake()
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
        """Before a file is received: whether anything is taken in at the moment.

        Raises:
            IntakePaused: the operator takes nothing.
            DatabaseUnavailable: that cannot be known, nor anything kept.
        """
        self._operating.check_intake()

    def submit_many(
        self,
        caller: Caller,
        asked: Sequence[OptionsAsked | Refusal],
        *,
        idempotency: IdempotencyKey | None = None,
    ) -> list[Submission | Refusal]:
        """Keep many requests in one transaction, each answered for itself, in their order.

        Args:
            asked: with links; a refusal stands for what could not be read.
            idempotency: as `submit`.

        Raises:
            IntakePaused, DatabaseUnavailable, IdempotencyMismatch: of all of them.
        """
        if idempotency is not None:
            earlier = self._request_store.stored_answer(caller.owner, idempotency)
            if earlier is not None:
                return earlier
        requests = [it if isinstance(it, Refusal) else self._checked_or_refused(it) for it in asked]
        self._operating.check_intake()
        answers = self._request_store.submit_many(
            requests,
            owner=caller.owner,
            traceparent=current_traceparent(),
            idempotency=idempotency,
            limits=limits_of(caller, self._settings),
        )
        for answer in answers:
            if isinstance(answer, Submission) and answer.queued:
                self._partitions.add(answer.transcription.id)
        return answers

    def _checked_or_refused(self, asked: OptionsAsked) -> TranscriptionRequest | Refusal:
        try:
            return self.checked(asked)
        except YtcaptionError as error:
            return Refusal.of(error)

    def checked(
        self, asked: OptionsAsked, source: MediaSource | None = None
    ) -> TranscriptionRequest:
        """What is asked for, in a form that can be carried out.

        Raises:
            InputError: it cannot.
        """
        settings = self._settings
        options = checked_options(
            model=settings.model if asked.model is None else asked.model,
            allowed_models=settings.models,
            language=asked.language,
            task=asked.task,
            initial_prompt=asked.initial_prompt,
            hotwords=asked.hotwords,
            temperature=asked.temperature,
            captions=asked.captions,
        )
        if source is None:
            assert isinstance(asked, TranscriptionCreate), "no link and no source"
            source = resolve_source(
                asked.source_url, sites=settings.sites, allowed_networks=settings.allowed_networks
            )
        callback = None
        if asked.callback_url is not None:
            callback = Callback(checked_url(asked.callback_url, settings), asked.callback_include)
        return TranscriptionRequest(
            source,
            options,
            asked.priority,
            metadata=asked.metadata,
            callback=callback,
            pinned=asked.keep,
        )
