"""Asset checks of `transcription`: is the transcript fit to be read?"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import dagster as dg

from ytcaption.domain.captions.quality import CaptionQA
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption_assets.assets.caption_accuracy import Measured

_ASSET = "transcription"


def transcription_check_specs() -> Sequence[dg.AssetCheckSpec]:
    """Return the specs of the checks made with every materialization of `transcription`."""
    return [
        dg.AssetCheckSpec("words_monotonic", asset=_ASSET, description="Words come in time order."),
        dg.AssetCheckSpec("segments_do_not_overlap", asset=_ASSET),
        dg.AssetCheckSpec(
            "captions_readable",
            asset=_ASSET,
            description="Captions keep to the limits of their style.",
        ),
        dg.AssetCheckSpec("speech_found", asset=_ASSET, description="The audio contains speech."),
        dg.AssetCheckSpec(
            "caption_accuracy",
            asset=_ASSET,
            description="The transcript agrees with captions that people made, if there are any.",
        ),
    ]


def transcription_checks(
    transcript: Transcript, report: CaptionQA, measured: Sequence[Measured], wer_limit: float
) -> Sequence[dg.AssetCheckResult]:
    """Return one result per spec. A broken transcript is an error; silence, fast speech and a high
    word error rate are warnings.

    Args:
        measured: accuracy beside captions that people made.
        wer_limit: word error rate from which a warning is given.
    """
    return [
        _words_monotonic(transcript),
        _segments_do_not_overlap(transcript),
        _captions_readable(report),
        _speech_found(transcript),
        _caption_accuracy(measured, wer_limit),
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


def _caption_accuracy(measured: Sequence[Measured], wer_limit: float) -> dg.AssetCheckResult:
    worst = max(measured, key=lambda each: each.accuracy.errors.rate, default=None)
    metadata: dict[str, Any] = {"compared": len(measured), "wer_limit": wer_limit}
    if worst is not None:
        errors = worst.accuracy.errors
        metadata |= {
            "wer": round(errors.rate, 4),
            "words": errors.reference_words,
            "substitutions": errors.substitutions,
            "deletions": errors.deletions,
            "insertions": errors.insertions,
            "reference": worst.accuracy.reference_kind,
            "model": worst.transcript.provenance.model,
        }
    if len(measured) > 1:
        metadata["versions"] = dg.MetadataValue.md(_versions_table(measured))
    return dg.AssetCheckResult(
        check_name="caption_accuracy",
        passed=worst is None or worst.accuracy.errors.rate < wer_limit,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _versions_table(measured: Sequence[Measured]) -> str:
    rows = ["| transcription | model | wer |", "| --- | --- | --- |"]
    for each in measured:
        model, errors = each.transcript.provenance.model, each.accuracy.errors
        rows.append(f"| {each.transcript.id} | {model} | {errors.rate:.4f} |")
    return "\n".join(rows)
