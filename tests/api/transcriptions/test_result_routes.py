"""Captions and transcripts over HTTP."""

import json
import re

import pytest
import webvtt
from fastapi.testclient import TestClient

from api.transcriptions.result import renderer_files
from resources.object_store.store import document_key
from tests.api.conftest import World
from tests.api.keys import Keys
from tests.support.transcripts import SPOKEN, transcript_of
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"

MEDIA_TYPES = {
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "ass": "text/x-ssa; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}


@pytest.mark.parametrize("format", MEDIA_TYPES)
def test_every_format_is_what_the_domain_renders(
    client: TestClient, world: World, format: str
) -> None:
    """The bytes are those of `render`, with the right media type and file name."""
    id = world.completed()

    answer = client.get(f"{PATH}/{id}/result", params={"format": format})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == MEDIA_TYPES[format]
    assert answer.headers["Content-Disposition"] == f'inline; filename="Ask not.{format}"'
    assert answer.text == render(transcript_of(id), CaptionFormat(format))


def test_json_is_the_default_and_the_whole_document(client: TestClient, world: World) -> None:
    """Without `format` the document is sent, with words and provenance."""
    id = world.completed()

    answer = client.get(f"{PATH}/{id}/result")

    assert Transcript.from_json(answer.content) == transcript_of(id)


def test_captions_are_laid_out_as_requested(client: TestClient, world: World) -> None:
    """`max_line_length` and `max_lines` hold for every caption, and no word is lost."""
    id = world.completed()

    answer = client.get(
        f"{PATH}/{id}/result", params={"format": "vtt", "max_line_length": 20, "max_lines": 1}
    )

    captions = webvtt.from_string(answer.text).captions
    assert all(len(caption.lines) == 1 and len(caption.text) <= 20 for caption in captions)
    spoken = " ".join(segment.text for segment in transcript_of(id).segments)
    assert " ".join(caption.text for caption in captions) == spoken


def test_the_settings_lay_captions_out_by_default(
    client: TestClient, world: World, settings: Settings
) -> None:
    """The operator's line length is the default."""
    id = world.completed()
    settings.captions = settings.captions.model_copy(update={"caption_line_length": 15})

    answer = client.get(f"{PATH}/{id}/result", params={"format": "vtt"})

    captions = webvtt.from_string(answer.text).captions
    assert max(len(line) for caption in captions for line in caption.lines) <= 15


def test_a_known_result_is_not_sent_again(client: TestClient, world: World) -> None:
    """A strong ETag, and 304 without a body if the request names it."""
    url = f"{PATH}/{world.completed()}/result?format=srt"
    first = client.get(url)
    tag = first.headers["ETag"]

    assert tag.startswith('"')
    assert first.headers["Cache-Control"] == "private, no-cache"
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = client.get(url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_etag_depends_on_rendering_code() -> None:
    """A release that renders captions differently invalidates the copies of clients."""
    assert {"formats.py", "cues.py", "ttml.py"} <= {path.name for path in renderer_files()}


def test_other_bytes_have_another_tag(client: TestClient, world: World, settings: Settings) -> None:
    """Format, layout, the settings' layout and the document each change the tag."""
    id = world.completed()
    url = f"{PATH}/{id}/result"
    tags = [
        client.get(url, params=params).headers["ETag"]
        for params in (
            {"format": "srt"},
            {"format": "vtt"},
            {"format": "srt", "max_line_length": 20},
            {"format": "srt", "max_lines": 1},
        )
    ]
    usual = settings.captions
    settings.captions = usual.model_copy(update={"caption_lines": 1, "caption_line_length": 30})
    tags.append(client.get(url, params={"format": "srt"}).headers["ETag"])
    settings.captions = usual
    other = transcript_of(id, ("Something else.",)).to_json()
    written = world.object_store.write_bytes(document_key(id), other)
    with world.request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set document_sha256 = %s", (written.sha256,)
        )
    tags.append(client.get(url, params={"format": "srt"}).headers["ETag"])

    assert len(set(tags)) == len(tags)


def test_head_says_what_get_would_send(client: TestClient, world: World) -> None:
    """HEAD has the headers of GET and no body."""
    url = f"{PATH}/{world.completed()}/result?format=txt"
    got, head = client.get(url), client.head(url)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Disposition", "Content-Length"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Ask not", 'attachment; filename="Ask not.srt"'),
        (None, 'attachment; filename="{id}.srt"'),
        ("../../etc/passwd", 'attachment; filename="etc passwd.srt"'),
        ('a"; filename="evil.exe', 'attachment; filename="a filename= evil.exe.srt"'),
        ("a\r\nSet-Cookie: b=1", 'attachment; filename="a Set-Cookie b=1.srt"'),
        ("CON", 'attachment; filename="{id}.srt"'),
        ("...", 'attachment; filename="{id}.srt"'),
        (
            "Müller: 100 % – Teil\u202e3",
            "attachment; filename=\"Muller 100 Teil 3.srt\"; filename*=UTF-8''"
            "M%C3%BCller%20100%20%E2%80%93%20Teil%203.srt",
        ),
        (
            "日本語",
            "attachment; filename=\"captions.srt\"; filename*=UTF-8''"
            "%E6%97%A5%E6%9C%AC%E8%AA%9E.srt",
        ),
    ],
)
def test_a_title_becomes_a_safe_file_name(
    client: TestClient, world: World, title: str | None, expected: str
) -> None:
    """No path, no injected header, no device name; complete in UTF-8."""
    id = world.completed(title=title)

    answer = client.get(f"{PATH}/{id}/result?format=srt&download=true")

    assert answer.headers["Content-Disposition"] == expected.format(id=id)
    assert "Set-Cookie" not in answer.headers


def test_a_long_title_is_cut(client: TestClient, world: World) -> None:
    """A name fits file systems and is not cut inside a character."""
    id = world.completed(title="ü" * 400)

    header = client.get(f"{PATH}/{id}/result?format=srt").headers["Content-Disposition"]

    assert header.endswith("UTF-8''" + "%C3%BC" * 75 + ".srt")


def test_no_result_before_it_is_completed(client: TestClient, world: World) -> None:
    """While it is in progress: 409 with Retry-After."""
    answer = client.get(f"{PATH}/{world.running()}/result")

    assert answer.status_code == 409
    assert answer.json()["code"] == "result_not_ready"
    assert answer.json()["transcription_status"] == "running"
    assert answer.headers["Retry-After"] == "2"


def test_a_failed_one_has_no_result_and_says_why(client: TestClient, world: World) -> None:
    """The answer has the failure's code and message, and no Retry-After."""
    answer = client.get(f"{PATH}/{world.failed()}/result")

    body = answer.json()
    assert answer.status_code == 409
    assert body["code"] == "result_not_ready"
    assert "media_private" in body["detail"]
    assert body["error"] == {"code": "media_private", "message": "The video is private."}
    assert "Retry-After" not in answer.headers


def test_a_canceled_one_has_no_result(client: TestClient, world: World) -> None:
    """The status says that it was canceled."""
    id = world.queued()
    world.request_store.cancel(id)

    answer = client.get(f"{PATH}/{id}/result")

    assert (answer.status_code, answer.json()["transcription_status"]) == (409, "canceled")


def test_a_damaged_document_is_never_sent(client: TestClient, world: World) -> None:
    """Changed bytes are a 500 with its own code, not captions."""
    id = world.completed()
    world.object_store.write_bytes(document_key(id), b'{"schema_version": 1}')

    answer = client.get(f"{PATH}/{id}/result")

    assert (answer.status_code, answer.json()["code"]) == (500, "object_corrupt")
    assert document_key(id) not in answer.text


def test_a_lost_document_is_reported(client: TestClient, world: World) -> None:
    """The answer is 500 with a code of its own and names no path."""
    id = world.completed()
    world.object_store.delete(document_key(id))

    answer = client.get(f"{PATH}/{id}/result")

    assert (answer.status_code, answer.json()["code"]) == (500, "object_not_found")
    assert "/" not in answer.json()["detail"]


def test_silence_is_an_empty_result(client: TestClient, world: World) -> None:
    """A transcription of silence completes with empty captions."""
    id = world.completed(spoken=())

    assert client.get(f"{PATH}/{id}/result?format=srt").text == ""
    assert client.get(f"{PATH}/{id}/result").json()["segments"] == []


def test_hostile_text_stays_text(client: TestClient, world: World) -> None:
    """Spoken markup is escaped in WebVTT and never sent as a page."""
    id = world.completed(spoken=("<script>alert(1)</script> & --> </v>",))

    answer = client.get(f"{PATH}/{id}/result?format=vtt")

    assert "<script>" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_words_are_left_out_of_json(client: TestClient, world: World) -> None:
    """With `words=false` the document has none; otherwise it has."""
    url = f"{PATH}/{world.completed()}/result"

    whole, again, less = (
        client.get(url, params=params).json()
        for params in ({}, {"words": "true"}, {"words": "false"})
    )

    assert whole == again
    assert all(segment.pop("words") for segment in whole["segments"])
    assert less == whole


def test_words_have_times_in_webvtt_and_rows_in_tsv(client: TestClient, world: World) -> None:
    """A timestamp before each word after the caption's first; a row per word."""
    id = world.completed()

    vtt = client.get(f"{PATH}/{id}/result", params={"format": "vtt", "words": "true"}).text
    tsv = client.get(f"{PATH}/{id}/result", params={"format": "tsv", "words": "true"}).text

    assert re.search(r"\nAnd<00:00:00.3\d\d><c> so,</c><00:00:00.[67]\d\d><c> my</c>", vtt)
    assert [caption.text for caption in webvtt.from_string(vtt)] == [
        caption.text
        for caption in webvtt.from_string(client.get(f"{PATH}/{id}/result?format=vtt").text)
    ]
    rows = tsv.splitlines()
    assert rows[0] == "start\tend\ttext"
    assert re.fullmatch(r"(\d+)\t(\d+)\tso,", rows[2])
    assert len(rows) - 1 == len(" ".join(SPOKEN).split())


@pytest.mark.parametrize("format", ["srt", "txt", "ass", "md"])
def test_words_are_refused_by_other_formats(client: TestClient, world: World, format: str) -> None:
    """422 names the formats that can hold them; `words=false` is accepted."""
    url = f"{PATH}/{world.completed()}/result?format={format}"

    answer = client.get(f"{url}&words=true")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
    assert format in answer.json()["detail"] and "json, vtt or tsv" in answer.json()["detail"]
    assert client.get(f"{url}&words=false").text == client.get(url).text


def test_speakers_are_refused_until_there_are_any(client: TestClient, world: World) -> None:
    """No file suggests that there is only one speaker."""
    url = f"{PATH}/{world.completed()}/result"

    answer = client.get(f"{url}?speakers=true")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
    assert client.get(f"{url}?speakers=false").status_code == 200


def test_words_change_the_tag(client: TestClient, world: World) -> None:
    """Other bytes have another tag."""
    url = f"{PATH}/{world.completed()}/result"
    tags = {
        client.get(url, params={"format": format, "words": words}).headers["ETag"]
        for format in ("json", "vtt", "tsv")
        for words in ("true", "false")
    }

    assert len(tags) == 6


@pytest.mark.parametrize("words", ["true", "false"])
@pytest.mark.parametrize(
    "text", ["=1+1", "+49 30", "-5", "@SUM(A1)", '"=1+1"', '" =1+1', "\t=1+1", "' =1"]
)
def test_no_cell_is_a_formula(client: TestClient, world: World, text: str, words: str) -> None:
    """Cells that a spreadsheet would execute start with an apostrophe."""
    id = world.completed(spoken=(text,))

    answer = client.get(f"{PATH}/{id}/result", params={"format": "tsv", "words": words})

    for row in answer.text.splitlines()[1:]:
        assert not row.split("\t")[2].strip('" ').startswith(("=", "+", "-", "@"))


def test_only_requesters_may_read(keys: Keys, client: TestClient, world: World) -> None:
    """To others the id does not exist; an admin reads everything."""
    id = world.completed()

    answer = client.get(f"{PATH}/{id}/result", headers=keys.header("clara"))

    assert client.get(f"{PATH}/{id}/result", headers=keys.header("admin")).status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (404, "transcription_not_found")


HOSTILE_QUERIES = [
    "format=exe", "format=", "format=srt%00", "format=../../x", "max_line_length=-1",
    "max_line_length=99999999999999999999999", "max_line_length=NaN", "max_lines=0",
    "max_lines=1e9",
    "download=perhaps", "format=srt&format=exe",
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE_QUERIES)
def test_hostile_queries_are_refused(client: TestClient, world: World, query: str) -> None:
    """422 names the parameter."""
    answer = client.get(f"{PATH}/{world.completed()}/result?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == f"query {query.partition('=')[0]}"


@pytest.mark.parametrize(
    "known", ["x" * 5_000, '"', "W/", ",,,", '"' * 1_000, 'W/"a" "b"', "\t", "**", '"é"', "null"]
)
def test_hostile_entity_tags_are_no_error(client: TestClient, world: World, known: str) -> None:
    """Whatever If-None-Match holds, the file is sent, or 422 if it is far too long."""
    answer = client.get(
        f"{PATH}/{world.completed()}/result",
        headers={b"If-None-Match": known.encode("latin-1")},
    )

    assert answer.status_code == (422 if len(known) > 2_000 else 200)
    if answer.status_code == 200:
        assert json.loads(answer.content)["schema_version"] == 1
