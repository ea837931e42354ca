"""Runs a plan: microbenchmarks first, then layout after layout, each built once for all of its variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from infinitetalk.clocks import median_seconds
from infinitetalk.figures import PartRow, ProductRow
from infinitetalk.material import PROMPT
from infinitetalk.measuring import VariantAtSize
from infinitetalk.microbenchmarks import Microbenchmarks
from infinitetalk.plan import Arithmetic, Kernels, Layout, Plan, Variant
from infinitetalk.random_networks import random_encoders, random_text_encoder, random_transformer
from infinitetalk.session import Session
from infinitetalk.work import Window
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.loop import Encoders
from talkingvideo_worker.engines.infinitetalk.memory.machine import give_back_unused, measure
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, host_bytes
from talkingvideo_worker.engines.infinitetalk.memory.quantised import multiplies_fp8
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.settings import NEGATIVE_PROMPT
from talkingvideo_worker.engines.infinitetalk.speed.attention import set_attention
from talkingvideo_worker.engines.infinitetalk.speed.compiling import compile_blocks, reason_against

Predictions = Mapping[tuple[Arithmetic, Window], float]


@dataclass(frozen=True)
class _Shared:
    """What all layouts use."""

    plan: Plan
    texts: Mapping[str, Tensor]
    predictions: Predictions
    keep_profile: Callable[[Any], None]


def run_plan(session: Session, plan: Plan, keep_profile: Callable[[Any], None]) -> None:
    """Measure.

    Args:
        session: Where, and where figures go.
        plan: What.
        keep_profile: Given the profile of the first variant's call.
    """
    torch.manual_seed(0)
    predictions = _predictions(session, plan)
    texts = session.attempt("text encoder", partial(_encoded_texts, session))
    if texts is None:
        return
    shared = _Shared(plan, texts, predictions, keep_profile)
    for layout, variants in plan.by_layout:
        session.attempt(str(layout), partial(_run_layout, session, shared, layout, variants))
        torch.compiler.reset()
        session.attempt_release()


def _predictions(session: Session, plan: Plan) -> Predictions:
    """Microbenchmarks' times of a call."""
    micro, predictions = Microbenchmarks(session.device, session.clock), {}
    for window in plan.windows:
        for arithmetic in dict.fromkeys(variant.layout.arithmetic for variant in plan.variants):
            predict = partial(micro.predicted_seconds, session.work(window), arithmetic)
            predicted = session.attempt(f"microbenchmarks, {arithmetic}, {window}", predict)
            if predicted is not None:
                predictions[arithmetic, window] = predicted
    session.figures.products = [*_gemm_rows(session, micro), *_attention_rows(session, micro)]
    session.save()
    return predictions


def _gemm_rows(session: Session, micro: Microbenchmarks) -> Sequence[ProductRow]:
    peak = session.peak
    in_fp8, in_bf16 = (peak.fp8, peak.bf16) if peak else (None, None)
    return [
        _product_row(
            f"({figure.rows}, {figure.inputs}) x ({figure.inputs}, {figure.outputs})",
            figure.arithmetic,
            figure.flops_per_second,
            in_fp8 if figure.arithmetic is Arithmetic.FP8_MATMULS else in_bf16,
        )
        for figure in micro.gemms
    ]


def _attention_rows(session: Session, micro: Microbenchmarks) -> Sequence[ProductRow]:
    peak = session.peak.bf16 if session.peak else None
    return [
        _product_row(
            f"{figure.attention.name}, {figure.attention.queries} x {figure.attention.keys}",
            figure.backend,
            figure.flops_per_second,
            peak,
        )
        for figure in micro.attentions
    ]


def _product_row(what: str, by: str, rate: float, peak: float | None) -> ProductRow:
    return ProductRow(what, by, rate / 1e12, peak and rate / peak)


def _encoded_texts(session: Session) -> Mapping[str, Tensor]:
    """The prompts, encoded; the encoder is gone afterwards."""
    encoder = random_text_encoder(session.sizes, session.device)
    seconds = median_seconds(partial(encoder, NEGATIVE_PROMPT), session.clock)
    session.figures.add(PartRow("any", "text encoder, once a prompt", seconds))
    return {prompt: encoder(prompt).cpu() for prompt in (PROMPT, NEGATIVE_PROMPT)}


def _run_layout(session: Session, shared: _Shared, layout: Layout, variants: Sequence[Variant]) -> None:
    """All of a layout's variants. When it returns, nothing holds its networks any more."""
    give_back_unused()
    transformer, encoders = _built(session, layout, shared.texts)
    for variant in variants:
        if session.attempt(str(variant), partial(_with_kernels, session, transformer, variant)) is None:
            continue
        for window in shared.plan.windows:
            predicted = shared.predictions.get((layout.arithmetic, window))
            render_input = session.render_input(window, *shared.plan.presets)
            subject = VariantAtSize(session, variant, render_input, transformer, encoders)
            session.attempt(f"{variant}, {window}", partial(subject.measure, predicted))
            if not session.figures.kernels:
                session.attempt(f"profile of {variant}, {window}", partial(subject.profile, shared.keep_profile))
            session.save()


def _built(
    session: Session, layout: Layout, texts: Mapping[str, Tensor]
) -> tuple[AudioWanTransformer3DModel, Encoders]:
    if session.device.type == "cuda":
        _require(layout, session.device)
    encoders = random_encoders(session.sizes, texts, layout.mode, session.device)
    transformer = random_transformer(session.sizes.transformer, layout, session.device)
    set_attention(transformer, session.device)
    return transformer, encoders


def _require(layout: Layout, device: torch.device) -> None:
    """Look whether a layout can be had, before the kernel ends the process for it."""
    if layout.arithmetic is Arithmetic.FP8_MATMULS and not multiplies_fp8(device):
        raise RuntimeError("this GPU has no matrix units for 8-bit floats")
    needed, free = host_bytes(layout.mode), measure(device).host_bytes
    if needed > free:
        raise MemoryError(f"the host has {free / GB:.0f} GB free of {needed / GB:.0f} GB that it takes")


def _with_kernels(session: Session, transformer: AudioWanTransformer3DModel, variant: Variant) -> Variant:
    """Blocks are compiled for one format after the other, so what was compiled for others goes."""
    torch.compiler.reset()
    if variant.kernels is Kernels.COMPILED:
        if reason := reason_against(session.device):
            raise RuntimeError(reason)
        compile_blocks(transformer)
    return variant
