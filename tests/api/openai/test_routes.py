"""OpenAI's own Python client, unchanged, against a real server, real runs and a real model."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pysubs2
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.api.conftest import serving
from tests.api.workers import worker
from tests.support.servers.media_server import DATA
from tests.ytcaption_assets.assets.conftest import Graph, environment, graph  # noqa: F401 - fixtures

pytestmark = pytest.mark.model

JFK = DATA / "jfk.flac"
WORDS = "ask what you can do for your country"


def plain(text: str) -> str:
    return re.sub(r"[^a-z ]", "", " ".join(text.lower().split()))


@pytest.fixture
def base_url(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve with tiny.en as the default model, and run as the daemon would."""
    settings = graph.settings.changed(model="tiny.en")
    with (
        worker(graph.store, lambda id, attempt: graph.run(id, attempt=attempt)),
        serving(settings) as url,
    ):
        yield f"{url}/v1"


@pytest.fixture
def client(base_url: str) -> OpenAI:
    """Return a client; it requires a key, and an installation without keys accepts any."""
    return OpenAI(base_url=base_url, api_key="none", max_retries=0)


@pytest.mark.long
def test_the_client_transcribes(client: OpenAI) -> None:
    """The response is the text of the file; all formats contain the same."""
    text = client.audio.transcriptions.create(model="whisper-1", file=JFK)
    assert WORDS in plain(text.text)

    verbose = client.audio.transcriptions.create(
        model="tiny.en",
        file=("speech.flac", JFK.read_bytes()),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (verbose.text, verbose.language) == (text.text, "english")
    assert verbose.duration == pytest.approx(11.0, abs=0.1)
    assert verbose.segments and verbose.words
    assert "".join(segment.text for segment in verbose.segments).strip() == verbose.text
    assert [word.word for word in verbose.words] == verbose.text.split()
    times = [time for word in verbose.words for time in (word.start, word.end)]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= verbose.duration

    srt = client.audio.transcriptions.create(model="whisper-1", file=JFK, response_format="srt")
    assert WORDS in plain(" ".join(line.plaintext for line in pysubs2.SSAFile.from_string(srt)))
    vtt = client.audio.transcriptions.create(model="whisper-1", file=JFK, response_format="vtt")
    assert vtt.startswith("WEBVTT")
    bare = client.audio.transcriptions.create(model="whisper-1", file=JFK, response_format="text")
    assert bare == f"{text.text}\n"


@pytest.mark.slow
def test_the_client_streams(client: OpenAI) -> None:
    """Deltas in the order of speech, which together are the text of the last event."""
    with client.audio.transcriptions.create(
        model="gpt-4o-mini-transcribe", file=JFK, stream=True
    ) as stream:
        events = list(stream)

    assert [event.type for event in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1)
    assert events[-1].type == "transcript.text.done"
    assert WORDS in plain(events[-1].text)
    assert "".join(event.delta for event in events[:-1]) == events[-1].text


@pytest.mark.slow
def test_the_asynchronous_client_does_several_at_once(base_url: str) -> None:
    """A dozen requests on one loop wait for two transcriptions, which are made once each."""

    async def ask() -> list[str]:
        async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
            answers = await asyncio.gather(
                *(
                    client.audio.transcriptions.create(model="tiny.en", file=DATA / name)
                    for name in ["jfk.flac", "ljspeech-LJ001-0028.flac"] * 6
                )
            )
        return [answer.text for answer in answers]

    texts = asyncio.run(ask())

    assert len(set(texts)) == 2
    assert sum(WORDS in plain(text) for text in texts) == 6


@pytest.fixture
def multilingual_url(
    base_model_home: Path,
    graph: Graph,
) -> Iterator[str]:
    """Serve with the model base."""
    with (
        worker(graph.store, lambda id, attempt: graph.run(id, attempt=attempt)),
        serving(graph.settings) as url,
    ):
        yield f"{url}/v1"


@pytest.mark.slow
def test_the_client_translates(multilingual_url: str) -> None:
    """German speech becomes English text, whose language is English."""
    client = OpenAI(base_url=multilingual_url, api_key="none", max_retries=0)

    answer = client.audio.translations.create(
        model="whisper-1", file=DATA / "fleurs-de-003.ogg", response_format="verbose_json"
    )

    assert answer.language == "english"
    assert re.search(r"\b(the|of|and|is|was)\b", answer.text.lower())
