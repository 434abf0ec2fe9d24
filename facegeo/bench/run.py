"""Measure what is asked for, group by group."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from facegeo.bench import cascade, generator
from facegeo.bench.case import Case
from facegeo.bench.machine import cores, machine
from facegeo.bench.onnx_session import MISSING, has_onnx
from facegeo.bench.report import Report, Row
from facegeo.bench.timing import CLOCKS, Timing
from facegeo.checkpoint import load_model
from facegeo.errors import UserError
from facegeo.models.casfne.generator import CasFNE
from facegeo.models.ccnn import Cascade

log = logging.getLogger(__name__)
GROUPS = ("ccnn", "casfne", "training", "rendering")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Settings:
    """What is measured, and how; keys of ``conf/bench.yaml``.

    Attributes:
        only: Of ``GROUPS``.
        device: Of ``DEVICES``.
        threads: Cores that compute; 0: all.
        batches: Faces or images of a call.
        timing: How calls are timed.
        groups: Each group's own settings.
    """

    only: Sequence[str]
    device: str
    threads: Sequence[int]
    batches: Sequence[int]
    timing: Timing
    groups: Mapping[str, Mapping[str, Any]]

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If a setting is out of range; the text names it.
        """
        for name, values, known in (
            ("only", self.only, GROUPS),
            ("device", [self.device], DEVICES),
            ("clock", [self.timing.clock], tuple(CLOCKS)),
        ):
            unknown = [value for value in values if value not in known]
            if unknown or not values:
                raise UserError(f"{name} must be of {', '.join(known)}; got {unknown or values}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("device=cuda needs a CUDA GPU, found none; set device=cpu")
        for name, numbers, least in (("threads", self.threads, 0), ("batches", self.batches, 1)):
            if not numbers or not all(type(n) is int and n >= least for n in numbers):
                raise UserError(
                    f"{name} must be whole numbers of at least {least}, got {list(numbers)}"
                )

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU is measured."""
        return self.device != "cuda"

    @property
    def on_cuda(self) -> bool:
        """Whether a GPU is measured."""
        return self.device != "cpu" and torch.cuda.is_available()

    @property
    def counts(self) -> list[int]:
        """Threads without repetition: on one core 0 is 1."""
        return list(dict.fromkeys(count or cores() for count in self.threads))


def run_bench(settings: Settings) -> Report:
    """Measure everything.

    Raises:
        UserError: If a setting or a model can not be used.
    """
    settings.check()
    rows: list[Row] = []
    missing = [] if has_onnx() else [MISSING]
    for group in settings.only:
        for made in GROUP_ROWS[group](settings, missing):
            log.info("measured %s: %s", made[0].group, made[0].case)
            rows += made
    about = {"clock": settings.timing.clock, "seconds": settings.timing.seconds}
    return Report(machine(), about, rows, missing)


def _ccnn(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    model, _ = load_model(settings.groups["ccnn"]["model"])
    if not isinstance(model, Cascade):
        raise UserError(f"ccnn.model must be a cascade, got a {type(model).__name__}")
    yield [cascade.PAPER]
    if settings.on_cpu:
        cases = cascade.cpu_cases(model, settings.batches, settings.counts, missing)
        yield from _measured(cases, settings.timing)
    if settings.on_cuda:
        yield from _measured(cascade.cuda_cases(model, settings.batches), settings.timing)


def _casfne(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    own = settings.groups["casfne"]
    model = _generator(own["model"])
    yield [generator.PAPER]
    if settings.on_cpu:
        batches = list(dict.fromkeys(min(b, own["cpu_batch"]) for b in settings.batches))
        cases = generator.cpu_cases(
            model, own["size"], batches, settings.counts, compiled=own["compile"]
        )
        yield from _measured(cases, settings.timing)
    if settings.on_cuda:
        cases = generator.cuda_cases(model, own["size"], settings.batches)
        yield from _measured(cases, settings.timing)


def _measured(cases: Iterator[Case], timing: Timing) -> Iterator[list[Row]]:
    return (case.measure(timing) for case in cases)


def _generator(name: str | None) -> CasFNE:
    if name is None:
        torch.manual_seed(0)
        return CasFNE(2).eval()
    model, _ = load_model(name)
    if not isinstance(model, CasFNE):
        raise UserError(f"casfne.model={name} is a {type(model).__name__}, wanted a CasFNE")
    return model


GROUP_ROWS = {"ccnn": _ccnn, "casfne": _casfne}
