"""Views that people ask for again and again."""

from resources.lake.view import LakeView, Parameter, ViewColumn, sql_of
from ytcaption.domain.errors import ViewNotFound

LIBRARY = f"create view library as {sql_of('library')}"
"""What every query may use beside the tables."""

OPTIMIZERS_OFF = ("common_subplan", "join_order", "build_side_probe_side")
"""Of DuckDB: what two parts of a view read would be kept in memory, and what its joins keep there
would depend on estimates. Instead the right side of a join is kept, which is the small one."""

_SINCE = Parameter("since", "date", "First day of publication.")
_UNTIL = Parameter("until", "date", "Last day of publication.")
_CHOSEN = (
    _SINCE,
    _UNTIL,
    Parameter("channel", "text", "One channel, by its id or name."),
    Parameter("language", "text", "One spoken language, such as `en`."),
)
_MADE = (
    Parameter("since", "date", "First day on which it was made."),
    Parameter("until", "date", "Last day on which it was made."),
)

_MONTH = ViewColumn("month", "DATE", "First day of the month of publication.")
_CHANNEL = ViewColumn("channel", "VARCHAR", "Its name, or its id; null where none is known.")
_MEDIA = ViewColumn("media", "BIGINT", "Number of media.")
_TRANSCRIPTIONS = ViewColumn("transcriptions", "BIGINT", "Number of transcriptions.")
_AUDIO_H = ViewColumn("audio_h", "DOUBLE", "Length of their audio.", "h")
_WORDS = ViewColumn("words", "BIGINT", "Number of words.")
_TIMES = ViewColumn("times", "BIGINT", "How often it was said.")
_TERM = ViewColumn("term", "VARCHAR", "In lower case, without punctuation.")
_PER_MILLION = ViewColumn("per_million", "DOUBLE", "How often in a million words.", "1e-6")
_LANGUAGE = ViewColumn("language", "VARCHAR", "Code of the language spoken.")
_SOURCE = ViewColumn("source", "VARCHAR", "`asr`, `manual_captions` or `automatic_captions`.")
_MODEL = ViewColumn("model", "VARCHAR", "The model's name; empty for captions.")
_TITLE = ViewColumn("title", "VARCHAR", "As the source calls it.")
_MEDIA_ID = ViewColumn("media_id", "VARCHAR", "The media.")
_URL = ViewColumn("url", "VARCHAR", "Where it is.")

_ALL = (
    LakeView(
        "growth",
        "What was made, month by month.",
        _MADE,
        (
            ViewColumn("month", "DATE", "First day of the month in which it was made."),
            _TRANSCRIPTIONS,
            _MEDIA,
            _AUDIO_H,
            _WORDS,
            ViewColumn("transcriptions_so_far", "BIGINT", "With all months before."),
            ViewColumn("audio_h_so_far", "DOUBLE", "With all months before.", "h"),
        ),
    ),
    LakeView(
        "channels",
        "What there is of each channel.",
        _CHOSEN,
        (
            _CHANNEL,
            ViewColumn("channel_id", "VARCHAR", "The site's id of it."),
            _MEDIA,
            _AUDIO_H,
            _WORDS,
            ViewColumn("first_on", "DATE", "Publication of the oldest."),
            ViewColumn("last_on", "DATE", "Publication of the newest."),
            ViewColumn("main_language", "VARCHAR", "Of most of its media."),
        ),
    ),
    LakeView(
        "speaking_rate",
        "Words a minute by channel and month.",
        _CHOSEN,
        (
            _CHANNEL,
            _MONTH,
            _MEDIA,
            _AUDIO_H,
            _WORDS,
            ViewColumn("words_per_speech_minute", "DOUBLE", "While somebody speaks.", "1/min"),
            ViewColumn("words_per_minute", "DOUBLE", "Pauses and music included.", "1/min"),
        ),
    ),
    LakeView(
        "talk_share",
        "Speech and silence by channel and month.",
        _CHOSEN,
        (
            _CHANNEL,
            _MONTH,
            _MEDIA,
            _AUDIO_H,
            ViewColumn("speech_h", "DOUBLE", "Part of it that holds speech.", "h"),
            ViewColumn("silence_h", "DOUBLE", "The rest: silence, music, noise.", "h"),
            ViewColumn("talk_share", "DOUBLE", "Speech of all.", "0 to 1"),
            ViewColumn("silent_media", "BIGINT", "Media in which nobody speaks."),
        ),
    ),
    LakeView(
        "language_mix",
        "Languages spoken, month by month.",
        _CHOSEN,
        (
            _MONTH,
            ViewColumn("language", "VARCHAR", "Code of the language; `none` without speech."),
            _MEDIA,
            _AUDIO_H,
            ViewColumn("share", "DOUBLE", "Of the month's audio.", "0 to 1"),
        ),
    ),
    LakeView(
        "top_terms",
        "What is said most: words, pairs or triples of words.",
        (
            *_CHOSEN,
            Parameter("n", "integer", "Words a term.", 1, least=1, most=3),
            Parameter(
                "min_length",
                "integer",
                "Characters of a single word, at least.",
                4,
                least=1,
                most=50,
            ),
        ),
        (_TERM, _TIMES, _MEDIA, _PER_MILLION),
    ),
    LakeView(
        "term_trend",
        "How often terms are said, month by month.",
        (
            *_CHOSEN,
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
        "Who covers a topic first: each channel's first mention of it.",
        (*_CHOSEN, Parameter("term", "text", "A part of what is said.", is_required=True)),
        (
            _CHANNEL,
            ViewColumn("published_on", "DATE", "Publication of the first media that says it."),
            ViewColumn("days_after_first", "BIGINT", "After the first channel.", "d"),
            ViewColumn("times", "BIGINT", "Segments of the channel that say it."),
            _MEDIA_ID,
            _TITLE,
            ViewColumn("start_s", "DOUBLE", "Where in it.", "s"),
            ViewColumn("text", "VARCHAR", "The segment."),
            _URL,
        ),
    ),
    LakeView(
        "caption_quality",
        "How sure, how repetitive and how fast the text is, by channel, month and model.",
        _CHOSEN,
        (
            _CHANNEL,
            _MONTH,
            _SOURCE,
            _MODEL,
            _LANGUAGE,
            _MEDIA,
            ViewColumn("segments", "BIGINT", "Number of segments."),
            ViewColumn("doubtful_share", "DOUBLE", "With `avg_logprob` below -1.", "0 to 1"),
            ViewColumn("repeating_share", "DOUBLE", "With `compression_ratio` over 2.4.", "0 to 1"),
            ViewColumn("too_fast_share", "DOUBLE", "Over 21 characters a second.", "0 to 1"),
            ViewColumn("median_characters_per_second", "DOUBLE", "Of the segments.", "1/s"),
            ViewColumn("mean_logprob", "DOUBLE", "Mean `avg_logprob`.", "ln"),
        ),
    ),
    LakeView(
        "accuracy",
        "Word error rate of each model against captions that people made.",
        (
            Parameter("since", "date", "First day on which it was measured."),
            Parameter("until", "date", "Last day on which it was measured."),
            *_CHOSEN[2:],
        ),
        (
            _MODEL,
            _LANGUAGE,
            ViewColumn("reference_kind", "VARCHAR", "Which captions."),
            _TRANSCRIPTIONS,
            ViewColumn("words", "BIGINT", "Words of the captions."),
            ViewColumn("wer", "DOUBLE", "Errors by words, of all together.", "1"),
            ViewColumn("wer_p50", "DOUBLE", "Median of the transcriptions'.", "1"),
            ViewColumn("wer_p95", "DOUBLE", "95th percentile of them.", "1"),
            ViewColumn("substitutions", "BIGINT", "Words that were heard as others."),
            ViewColumn("deletions", "BIGINT", "Words that were not heard."),
            ViewColumn("insertions", "BIGINT", "Words that were heard and are not there."),
        ),
    ),
    LakeView(
        "model_speed",
        "Real-time factor and cost of each model and device.",
        (
            *_MADE,
            Parameter("cost_per_hour", "number", "What an hour of the machine costs."),
        ),
        (
            ViewColumn("engine", "VARCHAR", "What recognised it."),
            _MODEL,
            ViewColumn("device", "VARCHAR", "`cpu` or `cuda`."),
            ViewColumn("compute_type", "VARCHAR", "Number format of the weights."),
            _TRANSCRIPTIONS,
            _AUDIO_H,
            ViewColumn("processing_h", "DOUBLE", "What decoding and hearing it took.", "h"),
            ViewColumn("rtf", "DOUBLE", "Processing by audio, of all together.", "1"),
            ViewColumn("rtf_p50", "DOUBLE", "Median of the transcriptions'.", "1"),
            ViewColumn("rtf_p95", "DOUBLE", "95th percentile of them.", "1"),
            ViewColumn("cost", "DOUBLE", "Of all, in the unit of `cost_per_hour`."),
            ViewColumn("cost_per_audio_h", "DOUBLE", "Of an hour of audio."),
        ),
    ),
    LakeView(
        "processing_delay",
        "From the question to the text, day by day.",
        _MADE,
        (
            ViewColumn("day", "DATE", "On which the text was made."),
            _SOURCE,
            _TRANSCRIPTIONS,
            ViewColumn("wait_p50_s", "DOUBLE", "Median until the first attempt began.", "s"),
            ViewColumn("delay_p50_s", "DOUBLE", "Median until the text was there.", "s"),
            ViewColumn("delay_p95_s", "DOUBLE", "95th percentile of that.", "s"),
            ViewColumn("delay_max_s", "DOUBLE", "The longest.", "s"),
        ),
    ),
)

VIEWS = {view.name: view for view in _ALL}
"""Name -> view, in the order in which they are listed."""


def view_named(name: str) -> LakeView:
    """One view.

    Raises:
        ViewNotFound: there is none of this name.
    """
    try:
        return VIEWS[name]
    except KeyError:
        offered = ", ".join(VIEWS)
        raise ViewNotFound(f"There is no view {name[:60]!r}. There are: {offered}.") from None
