"""`ytcaption channels ...` on a real database."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from tests.support.channel_lists import page, source
from tests.support.servers.channel_host import ChannelHost
from ytcaption.domain.channels.subscription_lists import read_channels
from ytcaption.domain.errors import ChannelNotFound, InputError, InvalidOption, SingleMedia
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app

URL = "https://www.youtube.com/channel/UC5NOEUbkLheQcaaRldYW5GA"

Run = Callable[..., Result]


@pytest.fixture
def channels(settings: Settings) -> Run:
    """Return a function that runs `ytcaption channels ...` and raises its errors."""

    def run(*arguments: object) -> Result:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["channels", *map(str, arguments)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """The store that the commands change."""
    return ChannelStore.from_settings(settings, "admin")


def listed(settings: Settings, id: str, numbers: range, **changes: Any) -> None:
    """Do what a run does that lists these items."""
    store = ChannelStore.from_settings(settings)
    ChannelRuns(postgres=store.postgres).claim(id, "run")
    ChannelIntake(postgres=store.postgres).add_page(
        id, "run", page(numbers, **changes), is_history=True
    )
    ChannelRuns(postgres=store.postgres).complete(id, "run")


@pytest.mark.slow
def test_a_channel_is_added_watched_and_removed(
    channels: Run, store: ChannelStore, settings: Settings
) -> None:
    """It is found by its id, the beginning of the id, any form of its URL, or its title."""
    added = channels("add", URL, "--every", "6h", "--title-exclude", "Part 1$", "--max-items", "9")
    [row] = store.channels()
    assert row.id in added.stdout and "is added" in added.stdout
    assert (row.plan.schedule.text, row.plan.filters.title_exclude) == ("every 6h", "Part 1$")
    assert (row.owner, row.plan.max_items, row.plan.priority) == ("local", 9, "bulk")
    assert "already subscribed" in channels("add", f"{URL}/", "--every", "1h").stdout
    assert store.get(row.id) == row

    listed(settings, row.id, range(4, 0, -1))
    table = channels("list").stdout
    assert "0 of 3" in table and row.id in table and "listed" in table
    shown = channels("show", row.id[:30]).stdout
    assert "every 6h" in shown and "title_exclude: Part 1$" in shown and "3 queued" in shown
    lines = channels("items", f"{URL}/videos/../").stdout
    assert lines.index("Part 4") < lines.index("Part 3")
    assert "filtered: title_excluded" in lines
    assert "Part 4" not in channels("items", row.id, "--state", "filtered").stdout
    assert len(json.loads(channels("items", row.id, "--limit", "2", "--json").stdout)) == 2

    channels("pause", URL)
    assert store.get(row.id).paused_at is not None
    channels("run", URL)
    assert store.get(row.id).run_requested_at is not None
    channels("resume", URL)
    assert store.get(row.id).paused_at is None
    channels("change", URL, "--cron", "0 6 * * *", "--time-zone", "Europe/Berlin", "--newest", "5")
    plan = store.get(row.id).plan
    assert plan.schedule.text == "cron 0 6 * * * (Europe/Berlin)"
    assert (plan.filters.newest, plan.filters.title_exclude, plan.max_items) == (5, "Part 1$", 9)

    channels("remove", URL)
    assert store.channels() == []
    assert "channels add URL" in channels("list").stdout


def test_a_url_of_no_known_site_is_added_as_a_feed(channels: Run, store: ChannelStore) -> None:
    """The first poll shows whether it is one, so the command says how to check now."""
    added = channels("add", "https://example.org/show").stdout
    [row] = store.channels()
    assert row.source.kind == "feed" and f"channels dry-run {row.id}" in added
    assert "dry-run" not in channels("add", URL).stdout


@pytest.mark.parametrize("option", ["--max-items", "--max-new"])
def test_the_old_name_of_max_items_is_accepted(
    channels: Run, store: ChannelStore, option: str
) -> None:
    """The help shows the new name only; the JSON has both."""
    id = json.loads(channels("add", URL, option, "7", "--json").stdout)["id"]
    assert store.get(id).plan.max_items == 7
    settings = json.loads(channels("show", id, "--json").stdout)["settings"]
    assert (settings["max_items"], settings["max_new"]) == (7, 7)
    help_text = channels("add", "--help").stdout
    assert "--max-items" in help_text and "--max-new" not in help_text


@pytest.mark.long
def test_missing_items_are_found_by_their_old_name(
    channels: Run, store: ChannelStore, settings: Settings
) -> None:
    """The database calls them `gone`; people read `missing`."""
    id = json.loads(channels("add", URL, "--json").stdout)["id"]
    listed(settings, id, range(2))
    with store.postgres.transaction() as connection:
        connection.execute("update ytcaption.channel_item set state = 'gone'")
    for name in ("missing", "gone"):
        items = json.loads(channels("items", id, "--state", name, "--json").stdout)
        assert [each["state"] for each in items] == ["missing", "missing"]
    assert "2 missing" in channels("show", id).stdout
    counts = json.loads(channels("show", id, "--json").stdout)["items"]
    assert counts == {"missing": 2, "gone": 2}
    [row] = csv.DictReader(io.StringIO(channels("export", "--format", "csv").stdout))
    assert (row["missing"], row["gone"]) == ("2", "2")
    with pytest.raises(InvalidOption, match="refused, missing, erased"):
        channels("items", id, "--state", "lost")


@pytest.mark.long
def test_json_output(channels: Run, store: ChannelStore, settings: Settings) -> None:
    """`show` and `list` print the same document, with the settings that would recreate it."""
    id = json.loads(channels("add", URL, "--language", "German", "--json").stdout)["id"]
    listed(settings, id, range(2))
    shown = json.loads(channels("show", id, "--json").stdout)

    assert shown["items"] == {"queued": 2} and shown["transcriptions"] == {"queued": 2}
    assert shown["settings"] == {
        "model": "base",
        "language": "de",
        "task": "transcribe",
        "schedule": {"every": "15m"},
        "priority": "bulk",
    }
    assert json.loads(channels("list", "--json").stdout) == [shown]


@pytest.mark.slow
def test_wrong_usage_is_refused(channels: Run, store: ChannelStore) -> None:
    """The error is a sentence, and nothing is stored."""
    for error, *arguments in (
        (InvalidOption, "add", URL, "--every", "soon"),
        (InvalidOption, "add", URL, "--title-include", "("),
        (InvalidOption, "add", URL, "--from-date", "yesterday"),
        (InvalidOption, "add", URL, "--priority", "now"),
        (SingleMedia, "add", "https://youtu.be/dQw4w9WgXcQ"),
        (SingleMedia, "add", "https://example.org/talk.mp3"),
        (ChannelNotFound, "show", "nothing"),
    ):
        with pytest.raises(error):
            channels(*arguments)
    assert store.channels() == []
    channels("add", URL)
    with pytest.raises(InvalidOption, match="Nothing to change"):
        channels("change", URL)
    channels("add", f"{URL}/shorts")
    with pytest.raises(ChannelNotFound, match="2 channels match"):
        channels("pause", "youtube-")


@pytest.mark.slow
def test_a_list_with_bad_lines_is_imported(
    channels: Run, store: ChannelStore, tmp_path: Path
) -> None:
    """Each line is reported; a refused one does not stop the others."""
    lines = [f"https://example.org/{number}.xml" for number in range(1, 501)]
    lines[399] = "http://127.0.0.1/feed.xml"
    lines[401] = "not a link"
    lines[402] = "https://youtu.be/dQw4w9WgXcQ"
    lines[403] = lines[0]
    file = tmp_path / "channels.txt"
    file.write_text("\n".join(lines))

    result = channels("import", file, "--paused", "--language", "en", "--json")

    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [each["line"] for each in report] == list(range(1, 501))
    refused = {each["line"]: each["reason"] for each in report if each["outcome"] == "refused"}
    assert set(refused) == {400, 402, 403}
    assert "private address" in refused[400] and "one video" in refused[403]
    assert [each["line"] for each in report if each["outcome"] == "known"] == [404]
    rows = store.channels(limit=1_000)
    assert len(rows) == 496
    assert {(row.paused_at is None, row.plan.options.language) for row in rows} == {(False, "en")}


@pytest.mark.slow
def test_an_export_is_imported_unchanged(
    channels: Run, store: ChannelStore, tmp_path: Path
) -> None:
    """URLs, filters, schedules and options survive; importing again finds all of them known."""
    channels("add", URL, "--title-include", 'a "b" <&>', "--cron", "0 6 * * *", "--keep-days", "9")
    channels("add", "https://example.org/feed.xml?a=1&b=2", "--captions", "never")
    before = {row.id: (row.source, row.plan) for row in store.channels()}
    file = tmp_path / "channels.opml"
    channels("export", file)
    for id in before:
        store.delete(id)

    trial = channels("import", file, "--dry-run")
    assert "2 would be added, 0 already known, 0 refused" in trial.stdout
    assert store.channels() == []
    result = channels("import", file)
    assert (result.exit_code, result.stdout.count("added")) == (0, 3)
    assert {row.id: (row.source, row.plan) for row in store.channels()} == before
    assert "0 added, 2 already known, 0 refused." in channels("import", file).stdout


@pytest.mark.parametrize(("options", "max_items"), [((), 5), (("--max-items", "7"), 7)])
def test_a_list_of_the_previous_release_is_imported(
    channels: Run, store: ChannelStore, tmp_path: Path, options: tuple[str, ...], max_items: int
) -> None:
    """It names `max_items` by its old name; an option of the command overrides it."""
    file = tmp_path / "channels.opml"
    settings = "{&quot;max_new&quot;: 5}"
    file.write_text(f'<outline xmlUrl="https://example.org/a" ytcaption:settings="{settings}"/>')
    channels("import", file, *options)
    assert [row.plan.max_items for row in store.channels()] == [max_items]


@pytest.mark.long
def test_export_as_csv(channels: Run, store: ChannelStore, settings: Settings) -> None:
    """One row per channel, which can be imported; text that a spreadsheet would run is quoted."""
    channels("add", URL)
    id = store.channels()[0].id
    title = '=HYPERLINK("https://evil.example")'
    listed(settings, id, range(3), channel=source(title=title))

    text = channels("export", "--format", "csv").stdout

    [row] = csv.DictReader(io.StringIO(text))
    assert row["title"] == f"'{title}"
    assert (row["id"], row["queued"], row["transcribed"]) == (id, "3", "0")
    assert [each.url for each in read_channels(text.encode())] == [row["url"]]


def test_invalid_settings_in_a_list_are_refused(
    channels: Run, store: ChannelStore, tmp_path: Path
) -> None:
    """The line is refused with a sentence."""
    outlines = []
    for number, value in enumerate(
        (
            '{"max_items": "many"}',
            '{"max_new": "many"}',
            '{"schedule": []}',
            '{"schedule": {"every": 5}}',
            '{"filters": {"newest": "x"}}',
            '{"filters": {"title_include": 7}}',
            '{"filters": [1]}',
            '{"colour": 1}',
            '{"priority": "now"}',
            '{"callback_url": "http://127.0.0.1/"}',
            '{"callback_url": 5}',
            '{"keep_days": -1}',
            '{"model": 1}',
            '{"temperature": "hot"}',
        )
    ):
        quoted = value.replace('"', "&quot;")
        outlines.append(
            f'<outline xmlUrl="https://example.org/{number}" ytcaption:settings="{quoted}"/>'
        )
    file = tmp_path / "channels.opml"
    file.write_text("\n".join(outlines))

    report = json.loads(channels("import", file, "--json").stdout)

    assert {each["outcome"] for each in report} == {"refused"}, report
    assert all(each["reason"].endswith(".") for each in report)
    assert store.channels() == []


@pytest.mark.long
def test_titles_cannot_control_the_terminal(
    channels: Run, settings: Settings, tmp_path: Path
) -> None:
    """Control characters in a title are replaced, and markup is printed as text."""
    evil = "[red]\x1b]0;owned\x07\x1b[2J"
    channels("add", URL)
    id = json.loads(channels("list", "--json").stdout)[0]["id"]
    listed(settings, id, range(1), channel=source(title=evil))
    file = tmp_path / "channels.opml"
    file.write_text('<outline text="[red]\x1b[2J" xmlUrl="https://example.org/"/>')

    for command in (("list",), ("show", id), ("pause", id), ("import", file)):
        text = channels(*command).stdout
        assert "\x1b]" not in text and "\x1b[2J" not in text and "[red]" in text, command


def test_pinchflats_own_feeds_are_explained(channels: Run, tmp_path: Path) -> None:
    """Its OPML has feeds on its own host: the refusal says what to list instead."""
    file = tmp_path / "pinchflat.opml"
    file.write_text(
        '<opml><body><outline type="rss" text="A" xmlUrl="http://192.168.1.5:8945/sources/'
        '0b9aa0f1-86c8-4ef4-a8b6-6f5d1a1d6f77/feed.xml"/></body></opml>'
    )

    result = channels("import", file)

    assert result.exit_code == 1
    assert "a feed that Pinchflat makes" in result.stdout


def test_an_unreadable_list_is_refused(channels: Run, tmp_path: Path) -> None:
    """The file is missing, or is not text."""
    for name, content in (("missing", None), ("binary", b"\x00\x01")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            channels("import", tmp_path / name)


@pytest.mark.long
def test_a_dry_run_stores_nothing(
    channels: Run, store: ChannelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works for a new URL, and for an added channel with changed options."""
    monkeypatch.setenv("YTCAPTION_ALLOWED_NETWORKS", "127.0.0.0/8")
    with ChannelHost() as host:
        url = host.podcast("news", 3)
        text = channels("dry-run", url, "--title-exclude", "Episode 1").stdout
        assert store.channels() == []
        channels("add", url, "--title-exclude", "Episode 2")
        result = json.loads(channels("dry-run", url, "--max-items", "1", "--json").stdout)

    assert "2 would be included, 1 excluded" in text and "filtered: title_excluded" in text
    assert result["is_complete"] is result["whole"] is True
    assert [(each["title"], each["state"], each["reason"]) for each in result["items"]] == [
        ("Episode 2", "filtered", "title_excluded"),
        ("Episode 1", "new", None),
        ("Episode 0", "new", "max_items"),
    ]
    assert store.items(store.channels()[0].id) == []
