"""Named views of the lake: prepared questions with typed parameters and described columns.

The SQL of each view is in `sql/`; its parameters and columns are described here and are shown by
the API and the command line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ytcaption.domain.errors import InvalidOption, ViewNotFound

_FOLDER = Path(__file__).parent / "sql"
_MAX_VALUE_LENGTH = 500

Kind = Literal["text", "date", "integer", "number"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a view.

    Attributes:
        default: value if it is not given.
        is_required: it must be given.
        minimum, maximum: bounds of a number; by default 0 and none.
    """

    name: str
    kind: Kind
    description: str
    default: str | int | float | None = None
    is_required: bool = False
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view's result.

    Attributes:
        type: DuckDB's name.
        unit: of a number, such as `h`.
    """

    name: str
    type: str
    description: str
    unit: str | None = None


@dataclass(frozen=True)
class LakeView:
    """A named SELECT with its parameters and result columns."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    columns: tuple[ViewColumn, ...]

    @property
    def sql(self) -> str:
        """Return one SELECT that takes its parameters as `$name`."""
        sql = view_sql(self.name)
        if "chosen" not in sql:
            return sql
        # `chosen` takes parameters too, and a DuckDB view cannot have any.
        chosen = f"with chosen as (\n{view_sql('chosen')})"
        if sql.startswith("with "):
            return f"{chosen}, {sql.removeprefix('with ')}"
        return f"{chosen}\n{sql}"

    def values(self, arguments: Mapping[str, str], max_rows: int) -> dict[str, Any]:
        """Return the value of every parameter, of JSON's types.

        Args:
            arguments: values by name, as text.
            max_rows: maximum rows of the result. A view that would otherwise keep more rows in
                memory takes it as `$rows`, plus one row that shows that there are more.

        Raises:
            InvalidOption: a parameter is unknown, missing or invalid.
        """
        known = {parameter.name for parameter in self.parameters}
        for name in arguments:
            if name not in known:
                names = ", ".join(sorted(known)) or "none"
                raise InvalidOption(
                    f"The view {self.name} has no parameter {name[:60]!r}. Its parameters: {names}."
                )
        values = {
            parameter.name: _value(parameter, arguments.get(parameter.name))
            for parameter in self.parameters
        }
        return values | ({"rows": max_rows + 1} if "$rows" in self.sql else {})


@cache
def view_sql(name: str) -> str:
    """Return the text of a file of `sql/`."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _value(parameter: Parameter, argument: str | None) -> str | int | float | None:
    if argument is None or not argument.strip():
        if parameter.is_required:
            raise InvalidOption(
                f"The parameter {parameter.name} is required: {parameter.description}"
            )
        return parameter.default
    if len(argument) > _MAX_VALUE_LENGTH or "\x00" in argument:
        raise InvalidOption(
            f"{parameter.name} must be a text of at most {_MAX_VALUE_LENGTH} characters."
        )
    if parameter.kind == "text":
        return argument.strip()
    try:
        if parameter.kind == "date":
            return date.fromisoformat(argument.strip()).isoformat()
        number = int(argument) if parameter.kind == "integer" else float(argument)
    except ValueError as error:
        expected = {"date": "a date such as 2026-11-24", "integer": "a whole number"}
        raise InvalidOption(
            f"{parameter.name} must be {expected.get(parameter.kind, 'a number')}."
        ) from error
    minimum, maximum = parameter.minimum, parameter.maximum
    if not (minimum or 0) <= number <= (maximum if maximum is not None else 1e12):
        bounds = (
            f"{minimum or 0} to {maximum}" if maximum is not None else f"at least {minimum or 0}"
        )
        raise InvalidOption(f"{parameter.name} must be {bounds}.")
    return number


LIBRARY = f"create view library as {view_sql('library')}"
"""The view that every query may use in addition to the tables."""

OPTIMIZERS_OFF = ("common_subplan", "join_order", "build_side_probe_side")
"""DuckDB optimizers that are disabled for views. They would keep in memory what two parts of a view
read, and choose the side of a join that is kept by estimates. Without them the right side is kept,
which is the small one."""

_SINCE = Parameter("since", "date", "First publication date.")
_UNTIL = Parameter("until", "date", "Last publication date.")
_SELECTION = (
    _SINCE,
    _UNTIL,
    Parameter("channel", "text", "One channel, by id or name."),
    Parameter("language", "text", "One spoken language, such as `en`."),
)
_CREATED = (
    Parameter("since", "date", "First day on which the transcript was created."),
    Parameter("until", "date", "Last day on which the transcript was created."),
)

_MONTH = ViewColumn("month", "DATE", "First day of the month of publication.")
_CHANNEL = ViewColumn("channel", "VARCHAR", "Name of the channel, or its id; null if unknown.")
_MEDIA = ViewColumn("media", "BIGINT", "Number of media.")
_TRANSCRIPTIONS = ViewColumn("transcriptions", "BIGINT", "Number of transcriptions.")
_AUDIO_H = ViewColumn("audio_h", "DOUBLE", "Length of the audio.", "h")
_WORDS = ViewColumn("words", "BIGINT", "Number of words.")
_TIMES = ViewColumn("times", "BIGINT", "Number of occurrences.")
_TERM = ViewColumn("term", "VARCHAR", "The term in lower case, without punctuation.")
_PER_MILLION = ViewColumn("per_million", "DOUBLE", "Occurrences per million words.", "1e-6")
_LANGUAGE = ViewColumn("language", "VARCHAR", "Code of the spoken language.")
_SOURCE = ViewColumn("source", "VARCHAR", "`asr`, `manual_captions` or `automatic_captions`.")
_MODEL = ViewColumn("model", "VARCHAR", "Name of the model; empty for captions.")
_TITLE = ViewColumn("title", "VARCHAR", "Title given by the source.")
_MEDIA_ID = ViewColumn("media_id", "VARCHAR", "Id of the media.")
_URL = ViewColumn("url", "VARCHAR", "Address of the media.")

_ALL = (
    LakeView(
        "growth",
        "Transcriptions by month of creation.",
        _CREATED,
        (
            ViewColumn("month", "DATE", "First day of the month of creation."),
            _TRANSCRIPTIONS,
            _MEDIA,
            _AUDIO_H,
            _WORDS,
            ViewColumn("transcriptions_so_far", "BIGINT", "Cumulative number."),
            ViewColumn("audio_h_so_far", "DOUBLE", "Cumulative length.", "h"),
        ),
    ),
    LakeView(
        "channels",
        "Totals of each channel.",
        _SELECTION,
        (
            _CHANNEL,
            ViewColumn("channel_id", "VARCHAR", "Id of the channel on its site."),
            _MEDIA,
            _AUDIO_H,
            _WORDS,
            ViewColumn("first_on", "DATE", "Publication date of the oldest media."),
            ViewColumn("last_on", "DATE", "Publication date of the newest media."),
            ViewColumn("main_language", "VARCHAR", "Language of most of its media."),
        ),
    ),
    LakeView(
        "speaking_rate",
        "Words per minute by channel and month.",
        _SELECTION,
        (
            _CHANNEL,
            _MONTH,
            _MEDIA,
            _AUDIO_H,
            _WORDS,
            ViewColumn("words_per_speech_minute", "DOUBLE", "Words per minute of speech.", "1/min"),
            ViewColumn(
                "words_per_minute",
                "DOUBLE",
                "Words per minute, pauses and music included.",
                "1/min",
            ),
        ),
    ),
    LakeView(
        "talk_share",
        "Speech and silence by channel and month.",
        _SELECTION,
        (
            _CHANNEL,
            _MONTH,
            _MEDIA,
            _AUDIO_H,
            ViewColumn("speech_h", "DOUBLE", "Length of the speech.", "h"),
            ViewColumn("silence_h", "DOUBLE", "Length of silence, music and noise.", "h"),
            ViewColumn("talk_share", "DOUBLE", "Share of speech.", "0 to 1"),
            ViewColumn("silent_media", "BIGINT", "Number of media without speech."),
        ),
    ),
    LakeView(
        "language_mix",
        "Spoken languages by month.",
        _SELECTION,
        (
            _MONTH,
            ViewColumn(
                "language", "VARCHAR", "Code of the language; `none` if there is no speech."
            ),
            _MEDIA,
            _AUDIO_H,
            ViewColumn("share", "DOUBLE", "Share of the month's audio.", "0 to 1"),
        ),
    ),
    LakeView(
        "top_terms",
        "The most frequent terms: words, pairs or triples of words.",
        (
            *_SELECTION,
            Parameter("n", "integer", "Words per term.", 1, minimum=1, maximum=3),
            Parameter(
                "min_length",
                "integer",
                "Minimum length of a single word, in characters.",
                4,
                minimum=1,
                maximum=50,
            ),
        ),
        (_TERM, _TIMES, _MEDIA, _PER_MILLION),
    ),
    LakeView(
        "term_trend",
        "Frequency of given terms by month.",
        (
            *_SELECTION,
            Parameter(
                "terms",
                "text",
                "Terms of one to three words, separated by commas.",
                is_required=True,
            ),
        ),
        (_MONTH, _TERM, _TIMES, _MEDIA, _PER_MILLION),
    ),
    LakeView(
        "first_mentions",
        "The first mention of a term in each channel.",
        (*_SELECTION, Parameter("term", "text", "Text to find in a segment.", is_required=True)),
        (
            _CHANNEL,
            ViewColumn("published_on", "DATE", "Publication date of the first media with it."),
            ViewColumn(
                "days_after_first", "BIGINT", "Days after the first channel's mention.", "d"
            ),
            ViewColumn("times", "BIGINT", "Number of the channel's segments with it."),
            _MEDIA_ID,
            _TITLE,
            ViewColumn("start_s", "DOUBLE", "Start of the segment.", "s"),
            ViewColumn("text", "VARCHAR", "Text of the segment."),
            _URL,
        ),
    ),
    LakeView(
        "caption_quality",
        "Confidence, repetition and reading speed by channel, month and model.",
        _SELECTION,
        (
            _CHANNEL,
            _MONTH,
            _SOURCE,
            _MODEL,
            _LANGUAGE,
            _MEDIA,
            ViewColumn("segments", "BIGINT", "Number of segments."),
            ViewColumn(
                "doubtful_share", "DOUBLE", "Segments with `avg_logprob` below -1.", "0 to 1"
            ),
            ViewColumn(
                "repeating_share",
                "DOUBLE",
                "Segments with `compression_ratio` above 2.4.",
                "0 to 1",
            ),
            ViewColumn(
                "too_fast_share", "DOUBLE", "Segments above 21 characters per second.", "0 to 1"
            ),
            ViewColumn("median_characters_per_second", "DOUBLE", "Median of the segments.", "1/s"),
            ViewColumn("mean_logprob", "DOUBLE", "Mean `avg_logprob`.", "ln"),
        ),
    ),
    LakeView(
        "accuracy",
        "Word error rate of each model against captions made by people.",
        (
            Parameter("since", "date", "First day of measurement."),
            Parameter("until", "date", "Last day of measurement."),
            *_SELECTION[2:],
        ),
        (
            _MODEL,
            _LANGUAGE,
            ViewColumn("reference_kind", "VARCHAR", "Kind of reference captions."),
            _TRANSCRIPTIONS,
            ViewColumn("words", "BIGINT", "Number of words in the reference captions."),
            ViewColumn("wer", "DOUBLE", "Errors divided by words, over all transcriptions.", "1"),
            ViewColumn("wer_p50", "DOUBLE", "Median over transcriptions.", "1"),
            ViewColumn("wer_p95", "DOUBLE", "95th percentile over transcriptions.", "1"),
            ViewColumn("substitutions", "BIGINT", "Words transcribed as other words."),
            ViewColumn("deletions", "BIGINT", "Words missing from the transcripts."),
            ViewColumn("insertions", "BIGINT", "Words that are only in the transcripts."),
        ),
    ),
    LakeView(
        "model_speed",
        "Real-time factor and cost of each model and device.",
        (
            *_CREATED,
            Parameter("cost_per_hour", "number", "Cost of one hour of the machine."),
        ),
        (
            ViewColumn("engine", "VARCHAR", "Name of the recognition engine."),
            _MODEL,
            ViewColumn("device", "VARCHAR", "`cpu` or `cuda`."),
            ViewColumn("compute_type", "VARCHAR", "Number format of the weights."),
            _TRANSCRIPTIONS,
            _AUDIO_H,
            ViewColumn("processing_h", "DOUBLE", "Time spent decoding and transcribing.", "h"),
            ViewColumn("rtf", "DOUBLE", "Processing time divided by audio, over all.", "1"),
            ViewColumn("rtf_p50", "DOUBLE", "Median over transcriptions.", "1"),
            ViewColumn("rtf_p95", "DOUBLE", "95th percentile over transcriptions.", "1"),
            ViewColumn("cost", "DOUBLE", "Total cost, in the unit of `cost_per_hour`."),
            ViewColumn("cost_per_audio_h", "DOUBLE", "Cost per hour of audio."),
        ),
    ),
    LakeView(
        "processing_delay",
        "Time from request to transcript by day.",
        _CREATED,
        (
            ViewColumn("day", "DATE", "Day on which the transcript was created."),
            _SOURCE,
            _TRANSCRIPTIONS,
            ViewColumn("wait_p50_s", "DOUBLE", "Median time until the first attempt began.", "s"),
            ViewColumn("delay_p50_s", "DOUBLE", "Median time until the transcript was ready.", "s"),
            ViewColumn("delay_p95_s", "DOUBLE", "95th percentile of that time.", "s"),
            ViewColumn("delay_max_s", "DOUBLE", "Longest time.", "s"),
        ),
    ),
)

VIEWS = {view.name: view for view in _ALL}
"""View by name, in the order in which they are listed."""


def view_named(name: str) -> LakeView:
    """Return the view of this name.

    Raises:
        ViewNotFound: there is none.
    """
    try:
        return VIEWS[name]
    except KeyError:
        names = ", ".join(VIEWS)
        raise ViewNotFound(f"There is no view {name[:60]!r}. The views are: {names}.") from None
