"""Semantic search."""

from typing import Literal

from pydantic import Field

from ytcaption.settings.group import SettingsGroup


class SearchSettings(SettingsGroup):
    """Embeddings of passages."""

    embeddings: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether passages of transcripts are embedded for semantic search, in a run's "
        "last step and for transcripts that lack embeddings. `auto`: where the extra `semantic` "
        "is installed.",
    )
    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        description="Model of semantic search: a sentence-transformers folder, or a model of the "
        "Hugging Face hub at one commit and with one hash, `OWNER/NAME@COMMIT:SHA256`; the same "
        "for workers. After a change all passages are embedded again.",
    )
