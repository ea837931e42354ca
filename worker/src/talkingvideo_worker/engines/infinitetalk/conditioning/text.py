"""Text: prompts through umT5, cleaned as the model was trained with."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Protocol

import ftfy
import torch
from torch import Tensor
from transformers import UMT5EncoderModel

from talkingvideo_worker.engines.infinitetalk.transformer import TEXT_TOKENS


class Tokenizer(Protocol):
    """A tokenizer of transformers."""

    def __call__(self, text: str, *, truncation: bool, max_length: int, return_tensors: str) -> Mapping[str, Tensor]:
        """Tokens of a text: ``input_ids`` (1, n)."""
        ...


class UmT5TextEncoder:
    """umT5's encoder.

    Args:
        model: In evaluation mode.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: UMT5EncoderModel, tokenizer: Tokenizer) -> None:
        self._model, self._tokenizer = model, tokenizer

    @torch.no_grad()
    def __call__(self, text: str) -> Tensor:
        """A prompt to (n, channels), n at most 512."""
        tokens = self._tokenizer(clean_prompt(text), truncation=True, max_length=TEXT_TOKENS, return_tensors="pt")
        features: Tensor = self._model(tokens["input_ids"].to(self._model.device)).last_hidden_state[0]
        return features.float()


def clean_prompt(prompt: str) -> str:
    """Clean a prompt as the model's own code does: broken encodings, HTML entities and white space."""
    repaired = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", repaired).strip()
