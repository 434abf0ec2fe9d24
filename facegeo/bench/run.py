"""Measure what is asked for, group by group."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import NonNegativeFloat, PositiveInt

from facegeo.bench import cascade, generator
from facegeo.bench.case import Case
from facegeo.bench.machine import cores, machine
from facegeo.bench.onnx_session import MISSING, has_onnx
from facegeo.bench.paper import paper_rows
from facegeo.bench.rendering import rendering_rows
from facegeo.bench.report import Report, Row
from facegeo.bench.timing import CLOCKS, Timing
from facegeo.bench.training import Lengths, training_rows
from facegeo.checks import check_value
from facegeo.errors import UserError
from facegeo.landmarks.nets import Cascade
from facegeo.normals.generator import CasFNE
from facegeo.training.model_file import load_model

log = logging.getLogger(__name__)
GROUPS = ("ccnn", "casfne", "training", "rendering")
DEVICES = ("auto", "cpu", "cuda")
NOT_NUMBERS = ("model", "compile")
"""Keys of the groups that have other values."""
STRIDED, STRIDE = ("casfne.size", "training.gan_size"), 32
"""Sides of what Cas-FNE's encoder sees."""


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
        for name, values in (
            ("only", self.only),
            ("threads", self.threads),
            ("batches", self.batches),
        ):
            if not isinstance(values, list):
                raise UserError(f"{name} must be a list, such as {name}=[{values}]; got {values}")
        for name, values, known in (
            ("only", self.only, GROUPS),
            ("device", [self.device], DEVICES),
            ("clock", [self.timing.clock], tuple(CLOCKS)),
        ):
            unknown = [value for value in values if value not in known]
            if unknown or not values:
                raise UserError(f"{name} must be of {', '.join(known)}; got {unknown or values}")
        check_value("seconds", self.timing.seconds, NonNegativeFloat)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UserError("device=cuda needs a CUDA GPU, found none; set device=cpu")
        for name, numbers, least in (("threads", self.threads, 0), ("batches", self.batches, 1)):
            if not numbers or not all(type(n) is int and n >= least for n in numbers):
                raise UserError(
                    f"{name} must be whole numbers of at least {least}, got {list(numbers)}"
                )

        self._check_groups()

    def _check_groups(self) -> None:
        for group, own in self.groups.items():
            if not isinstance(own, Mapping):
                raise UserError(f"{group} must hold keys of its own, got {own}")
            for key, value in own.items():
                name = f"{group}.{key}"
                if key == "compile" and type(value) is not bool:
                    raise UserError(f"{name} must be true or false, got {value}")
                if key in NOT_NUMBERS:
                    continue
                check_value(name, value, PositiveInt)
                if name in STRIDED and value % STRIDE:
                    raise UserError(f"{name} must be a multiple of {STRIDE} px, got {value}")

    @property
    def devices(self) -> list[str]:
        """What is measured: the CPU, a GPU, or both."""
        if self.device != "auto":
            return [self.device]
        return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]

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
            if made[0].rounds:
                log.info("measured %s: %s", made[0].group, made[0].case)
            rows += made
    about = {"clock": settings.timing.clock, "seconds": settings.timing.seconds}
    return Report(machine(), about | dict(settings.groups), rows, missing)


def _ccnn(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    model = _cascade(settings)
    yield paper_rows("ccnn")
    if "cpu" in settings.devices:
        cases = cascade.cpu_cases(model, settings.batches, settings.counts, missing)
        yield from _measured(cases, settings.timing)
    if "cuda" in settings.devices:
        yield from _measured(cascade.cuda_cases(model, settings.batches), settings.timing)


def _casfne(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    own = settings.groups["casfne"]
    model = _generator(own["model"])
    yield paper_rows("casfne")
    if "cpu" in settings.devices:
        batches = list(dict.fromkeys(min(b, own["cpu_batch"]) for b in settings.batches))
        cases = generator.cpu_cases(
            model, own["size"], batches, settings.counts, compiled=own["compile"]
        )
        yield from _measured(cases, settings.timing)
    if "cuda" in settings.devices:
        cases = generator.cuda_cases(model, own["size"], settings.batches)
        yield from _measured(cases, settings.timing)


def _training(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    own = dict(settings.groups["training"])
    model = _cascade(settings)
    lengths = Lengths(**own)
    for device in settings.devices:
        yield from training_rows(
            model, lengths, settings.timing.clock, device, max(settings.counts)
        )


def _rendering(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    own = settings.groups["rendering"]
    for device in settings.devices:
        yield from rendering_rows(own["size"], own["tasks"], settings.timing.clock, device)


def _cascade(settings: Settings) -> Cascade:
    name = settings.groups["ccnn"]["model"]
    model, _ = load_model(str(name))
    if not isinstance(model, Cascade):
        raise UserError(f"ccnn.model={name} is a {type(model).__name__}, wanted a cascade")
    return model


def _measured(cases: Iterator[Case], timing: Timing) -> Iterator[list[Row]]:
    return (case.measure(timing) for case in cases)


def _generator(name: str | None) -> CasFNE:
    if name is None:
        torch.manual_seed(0)
        return CasFNE(2).eval()
    model, _ = load_model(str(name))
    if not isinstance(model, CasFNE):
        raise UserError(f"casfne.model={name} is a {type(model).__name__}, wanted a CasFNE")
    return model


GROUP_ROWS = {
    "ccnn": _ccnn,
    "casfne": _casfne,
    "training": _training,
    "rendering": _rendering,
}
