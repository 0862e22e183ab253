"""Asset checks of `transcription`: is what was heard fit to be read?"""

from collections.abc import Sequence
from itertools import pairwise

import dagster as dg

from ytcaption_assets.domain.caption_qa import CaptionQA
from ytcaption_assets.domain.transcript import Transcript

_ASSET = "transcription"


def transcription_check_specs() -> Sequence[dg.AssetCheckSpec]:
    """The checks that every materialization of `transcription` answers."""
    return [
        dg.AssetCheckSpec("words_monotonic", asset=_ASSET, description="Words come in time order."),
        dg.AssetCheckSpec("segments_do_not_overlap", asset=_ASSET),
        dg.AssetCheckSpec(
            "captions_readable", asset=_ASSET, description="Captions keep their limits."
        ),
        dg.AssetCheckSpec("speech_found", asset=_ASSET, description="Somebody says something."),
    ]


def transcription_checks(
    transcript: Transcript, report: CaptionQA
) -> Sequence[dg.AssetCheckResult]:
    """One result a spec. Only what is broken is an error: silence and fast speech are warnings."""
    return [
        _words_monotonic(transcript),
        _segments_do_not_overlap(transcript),
        _captions_readable(report),
        _speech_found(transcript),
    ]


def _words_monotonic(transcript: Transcript) -> dg.AssetCheckResult:
    words = transcript.words
    wrong = [
        index
        for index, (before, after) in enumerate(pairwise(words))
        if after.start_s < before.start_s or before.end_s < before.start_s
    ]
    return dg.AssetCheckResult(
        check_name="words_monotonic",
        passed=not wrong,
        metadata={"words": len(words), "out_of_order": len(wrong)},
    )


def _segments_do_not_overlap(transcript: Transcript) -> dg.AssetCheckResult:
    overlaps = sum(after.start_s < before.end_s for before, after in pairwise(transcript.segments))
    return dg.AssetCheckResult(
        check_name="segments_do_not_overlap",
        passed=overlaps == 0,
        metadata={"segments": len(transcript.segments), "overlaps": overlaps},
    )


def _captions_readable(report: CaptionQA) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="captions_readable",
        passed=report.cues_ok == report.cues,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=report.to_dict(),
    )


def _speech_found(transcript: Transcript) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="speech_found",
        passed=bool(transcript.segments),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"speech_s": round(transcript.speech_s, 2), "dropped": len(transcript.dropped)},
    )
