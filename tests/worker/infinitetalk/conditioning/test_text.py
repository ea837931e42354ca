"""Prompts."""

from __future__ import annotations

from talkingvideo_worker.engines.infinitetalk.conditioning.text import clean_prompt


def test_a_prompt_is_cleaned_of_entities_curly_quotes_and_white_space() -> None:
    assert clean_prompt("  “Tom &amp;amp; Ann”\n\ttalk ") == '"Tom & Ann" talk'
