"""Runs a plan: microbenchmarks first, then every setup, built once for all of its variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from infinitetalk.figures import PartRow, ProductRow
from infinitetalk.material import PROMPT
from infinitetalk.measuring import VariantMeasurement
from infinitetalk.microbenchmarks import Microbenchmarks
from infinitetalk.plan import Arithmetic, Kernels, ModelSetup, Plan, Variant
from infinitetalk.random_networks import random_encoders, random_text_encoder, random_transformer
from infinitetalk.session import Session
from infinitetalk.timers import median_seconds
from infinitetalk.work import WindowSize
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.attention import select_attention_backend
from talkingvideo_worker.engines.infinitetalk.compiling import compile_blocks, compile_obstacle
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_memory, free_unused_memory
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, host_bytes
from talkingvideo_worker.engines.infinitetalk.memory.quantization import supports_fp8_matmul
from talkingvideo_worker.engines.infinitetalk.pipeline import Encoders
from talkingvideo_worker.engines.infinitetalk.settings import NEGATIVE_PROMPT
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

Predictions = Mapping[tuple[Arithmetic, WindowSize], float]


@dataclass(frozen=True)
class _Shared:
    """What all setups use."""

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
    for setup, variants in plan.by_setup:
        session.attempt(str(setup), partial(_run_setup, session, shared, setup, variants))
        torch.compiler.reset()
        session.attempt_release()


def _predictions(session: Session, plan: Plan) -> Predictions:
    """Microbenchmarks' times of a call."""
    micro, predictions = Microbenchmarks(session.device, session.timer), {}
    for window in plan.windows:
        for arithmetic in dict.fromkeys(variant.setup.arithmetic for variant in plan.variants):
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
    """The encoded prompts; the encoder is freed."""
    encoder = random_text_encoder(session.sizes, session.device)
    seconds = median_seconds(partial(encoder, NEGATIVE_PROMPT), session.timer)
    session.figures.add(PartRow("any", "text encoder, once a prompt", seconds))
    return {prompt: encoder(prompt).cpu() for prompt in (PROMPT, NEGATIVE_PROMPT)}


def _run_setup(session: Session, shared: _Shared, setup: ModelSetup, variants: Sequence[Variant]) -> None:
    """Measure all variants of a setup. When it returns, there are no references to its networks."""
    free_unused_memory()
    transformer, encoders = _built(session, setup, shared.texts)
    for variant in variants:
        if session.attempt(str(variant), partial(_with_kernels, session, transformer, variant)) is None:
            continue
        for window in shared.plan.windows:
            predicted = shared.predictions.get((setup.arithmetic, window))
            render_input = session.render_input(window, *shared.plan.presets)
            subject = VariantMeasurement(session, variant, render_input, transformer, encoders)
            session.attempt(f"{variant}, {window}", partial(subject.measure, predicted))
            if not session.figures.kernels:
                session.attempt(f"profile of {variant}, {window}", partial(subject.profile, shared.keep_profile))
            session.save()


def _built(
    session: Session, setup: ModelSetup, texts: Mapping[str, Tensor]
) -> tuple[AudioWanTransformer3DModel, Encoders]:
    if session.device.type == "cuda":
        _require(setup, session.device)
    encoders = random_encoders(session.sizes, texts, setup.mode, session.device)
    transformer = random_transformer(session.sizes.transformer, setup, session.device)
    select_attention_backend(transformer, session.device)
    return transformer, encoders


def _require(setup: ModelSetup, device: torch.device) -> None:
    """Check that the memory suffices for a setup, before the kernel kills the process for it."""
    if setup.arithmetic is Arithmetic.FP8_MATMULS and not supports_fp8_matmul(device):
        raise RuntimeError("this GPU has no matrix units for 8-bit floats")
    needed, free = host_bytes(setup.mode), free_memory(device).host_bytes
    if needed > free:
        raise MemoryError(f"the host has {free / GB:.0f} GB free of {needed / GB:.0f} GB that it takes")


def _with_kernels(session: Session, transformer: AudioWanTransformer3DModel, variant: Variant) -> Variant:
    """Blocks are compiled for one format after the other, so what was compiled for others goes."""
    torch.compiler.reset()
    if variant.kernels is Kernels.COMPILED:
        if reason := compile_obstacle(session.device):
            raise RuntimeError(reason)
        compile_blocks(transformer)
    return variant
