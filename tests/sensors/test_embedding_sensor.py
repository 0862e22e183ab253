"""Waiting transcripts are embedded in few runs, after all other work."""

import time
from types import SimpleNamespace

import dagster as dg
import numpy as np
import pytest

from resources.embeddings.backlog import embed_transcript
from resources.embeddings.store import EmbeddingCounts, EmbeddingStore
from resources.transcriptions.store import RequestStore
from sensors import embedding_sensor as module
from sensors.embedding_sensor import embed_job, embedding_sensor
from tests.support.embedding import TOY, ToyEmbedder
from tests.support.embedding_child import TOPICS
from tests.support.library import add_said
from ytcaption.domain.errors import ModelUnavailable
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings


class Toy(ToyEmbedder):
    """Fails for one text, and can be unavailable."""

    is_away = False

    def encode(self, texts, wait_s: float = -1.0):
        """As the toy."""
        if self.is_away:
            raise ModelUnavailable("The hub has no such model.")
        model, vectors = super().encode(texts, wait_s)
        for row, text in enumerate(texts):
            if text == "odd":
                vectors[row] = np.nan
        return model, vectors


@pytest.fixture(autouse=True)
def toy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """The model of the settings, for the sensor and its runs; completed transcripts count as
    settled."""
    monkeypatch.setenv("YTCAPTION_EMBEDDING_MODEL", TOY.name)
    monkeypatch.setattr(module, "SETTLED_S", 0.0)
    toy = Toy(TOPICS)
    monkeypatch.setattr(module, "warm_embedder_of", lambda settings: toy)
    return toy


@pytest.fixture
def store(settings: Settings) -> RequestStore:
    """With the rights of runs and sensors."""
    return RequestStore.from_settings(settings, "dagster")


def tick(instance: dg.DagsterInstance, store: RequestStore) -> dg.RunRequest | str:
    """Return the run it requests, or why it requests none."""
    context = dg.build_sensor_context(instance=instance, resources={"postgres": store.postgres})
    with context:
        found = embedding_sensor(context)
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found if isinstance(found, dg.RunRequest) else found.skip_message or ""


def run(instance: dg.DagsterInstance, store: RequestStore) -> dg.ExecuteInProcessResult:
    """Run what the daemon would start for a request."""
    return embed_job.execute_in_process(
        instance=instance, resources={"postgres": store.postgres}, raise_on_error=False
    )


def numbers(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = [each for each in result.all_node_events if each.is_successful_output]
    return {name: each.value for name, each in event.step_output_data.metadata.items()}


def counts(store: RequestStore) -> EmbeddingCounts | None:
    return EmbeddingStore(store.postgres).counts(TOY.name)


@pytest.mark.long
def test_all_waiting_ones_are_embedded_in_one_run(instance, store, request_store) -> None:
    """After every transcription in Dagster's queue; then there is nothing to do."""
    assert tick(instance, store) == "Nothing waits to be embedded."
    for name in ("a", "b", "c"):
        add_said(request_store, name, *["a puppy"] * 12)
    request = tick(instance, store)
    assert isinstance(request, dg.RunRequest)
    assert int(request.tags["dagster/priority"]) < -999
    result = run(instance, store)
    assert result.success
    made = numbers(result)
    assert (made["transcripts"], made["passages"], made["failed"]) == (3, 9, 0)
    assert (made["model"], made["model_revision"], made["dimensions"]) == ("toy", "a1", 3)
    assert counts(store) == EmbeddingCounts(waiting=0, failed=0)
    assert tick(instance, store) == "Nothing waits to be embedded."


def test_another_model_embeds_all_again(
    instance, store, request_store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, and by its files once something was embedded with them."""
    ids = [add_said(request_store, name, "a puppy") for name in ("a", "b")]
    assert run(instance, store).success
    monkeypatch.setenv("YTCAPTION_EMBEDDING_MODEL", "another")
    assert isinstance(tick(instance, store), dg.RunRequest)
    monkeypatch.setenv("YTCAPTION_EMBEDDING_MODEL", TOY.name)
    assert tick(instance, store) == "Nothing waits to be embedded."
    embed_transcript(EmbeddingStore(store.postgres), ToyEmbedder(TOPICS, "b2"), ids[0])
    assert isinstance(tick(instance, store), dg.RunRequest)


def test_a_newly_completed_one_is_left_to_its_own_run(
    instance, store, request_store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last asset may be about to embed it."""
    monkeypatch.setattr(module, "SETTLED_S", 300.0)
    add_said(request_store, "a", "a puppy")
    assert tick(instance, store) == "Nothing waits to be embedded."
    assert numbers(run(instance, store))["transcripts"] == 0
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set completed_at = now() - interval '6 minutes'"
        )
    assert isinstance(tick(instance, store), dg.RunRequest)


def test_one_that_fails_does_not_affect_the_others(instance, store, request_store) -> None:
    """It is listed in the run, and waits no more until its text changes or a user requests it."""
    add_said(request_store, "a", "a puppy")
    odd = add_said(request_store, "b", "odd")
    add_said(request_store, "c", "the sea")
    result = run(instance, store)
    assert result.success
    made = numbers(result)
    assert (made["transcripts"], made["failed"]) == (2, 1)
    assert f"{odd}: ValueError: the model returned vectors that are not finite" in str(
        made["failures"]
    )
    assert counts(store) == EmbeddingCounts(waiting=0, failed=1)
    assert tick(instance, store) == "Nothing waits to be embedded. 1 could not be."
    embedding_store = EmbeddingStore(store.postgres)
    model_id = embedding_store.model_id(TOY)
    assert embedding_store.waiting(model_id) == []
    assert embedding_store.waiting(model_id, again=True) == [odd]


@pytest.mark.long
def test_an_unavailable_model_is_retried_with_growing_pauses(
    instance, store, request_store, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails with the reason; the next one is an hour later, then two, a day at most."""
    add_said(request_store, "a", "a puppy")
    toy.is_away = True
    result = run(instance, store)
    assert not result.success
    [failure] = [each for each in result.all_node_events if each.is_step_failure]
    assert "The hub has no such model." in str(failure.event_specific_data)
    waits = str(tick(instance, store))
    assert waits.startswith("1 wait, for 3,") and waits.endswith(" s more.")
    run(instance, store)
    assert str(tick(instance, store)).startswith("1 wait, for 7,")
    ahead = SimpleNamespace(time=lambda: time.time() + 7_300, monotonic=time.monotonic)
    monkeypatch.setattr(module, "time", ahead)
    assert isinstance(tick(instance, store), dg.RunRequest)
    toy.is_away = False
    assert run(instance, store).success
    assert tick(instance, store) == "Nothing waits to be embedded."


def test_there_is_one_run_at_a_time(instance, store, request_store) -> None:
    """Also while it waits in the queue."""
    add_said(request_store, "a", "a puppy")
    instance.create_run_for_job(embed_job)
    assert tick(instance, store) == "1 wait: a run embeds."


@pytest.mark.long
def test_it_yields_to_transcriptions(
    instance, store, request_store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While there are any it runs shortly now and then; it ends as soon as a run waits for its
    slot."""
    for name in ("a", "b", "c"):
        add_said(request_store, name, "a puppy")
    source = MediaSource("upload-x", "upload", title="a.mp3")
    request_store.submit(source, TranscriptionOptions(model="base"))
    assert isinstance(tick(instance, store), dg.RunRequest)
    monkeypatch.setattr(module, "BUSY_RUN_S", -1.0)
    assert numbers(run(instance, store))["transcripts"] == 1
    assert str(tick(instance, store)) in ("2 wait, for 600 s more.", "2 wait, for 599 s more.")
    monkeypatch.setattr(module, "BUSY_RUN_S", 60.0)
    storage = instance.event_log_storage
    storage.set_concurrency_slots(module.POOL, 1)
    storage.claim_concurrency_slot(module.POOL, "another", "transcript_embeddings")
    storage.claim_concurrency_slot(module.POOL, "a-third", "transcript_embeddings")
    assert module._should_yield(instance, store.postgres, 0.0)
    storage.free_concurrency_slots_for_run("another")
    storage.free_concurrency_slots_for_run("a-third")
    assert not module._should_yield(instance, store.postgres, 0.0)
    assert numbers(run(instance, store))["transcripts"] == 2
