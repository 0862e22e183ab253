"""The default layout of captions."""

from pydantic import Field

from ytcaption.settings.group import SettingsGroup


class CaptionSettings(SettingsGroup):
    """Line lengths and the accuracy threshold."""

    caption_line_length: int = Field(42, ge=10, le=120, description="Characters per caption line.")
    caption_cjk_line_length: int = Field(
        16, ge=6, le=60, description="Characters per line in Chinese, Japanese and Korean."
    )
    caption_lines: int = Field(2, ge=1, le=4, description="Lines per caption.")
    caption_wer_limit: float = Field(
        0.3,
        gt=0,
        description="Word error rate, compared with captions that people wrote, at which the "
        "check `caption_accuracy` of a transcription warns.",
    )
