"""Segments as running text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.transcripts.plain_text import running_text, with_space

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["Ask not.", "Ask."], "Ask not. Ask."),
        (["我们是朋友。", "你好！"], "我们是朋友。你好！"),
        (["これは", "カタカナ"], "これはカタカナ"),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        (["안녕하세요.", "네."], "안녕하세요. 네."),
        (["1 个", "Dagster 好"], "1 个 Dagster 好"),
        ([], ""),
    ],
)
def test_a_space_is_between_where_the_script_has_one(texts: list[str], whole: str):
    """Chinese, Japanese and Thai have none, Korean has."""
    assert running_text(texts) == whole


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool)))
def test_pieces_of_a_stream_are_joined_to_the_whole_text(texts: list[str]):
    """A stream of segments has the same text as the response that is sent at once."""
    streamed = "".join(with_space(text) if at else text for at, text in enumerate(texts))
    assert streamed == running_text(texts)
