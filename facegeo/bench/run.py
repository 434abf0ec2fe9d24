"""The settings of ``facegeo-bench``, and its measurements group by group."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from facegeo.bench import cascade, generator
from facegeo.bench.peers import MISSING, has_onnx
from facegeo.bench.report import Report, Row, cores, machine, paper_rows
from facegeo.bench.timing import CLOCKS, Timing, quartiles
from facegeo.bench.training import STRICT, Lengths, Side, training_rows
from facegeo.errors import UserError
from facegeo.normals.generator import CasFNE
from facegeo.rendering.folders import LandmarkFolder, PhotofaceFolder
from facegeo.rendering.order import Layout, LayoutName, Order, Task
from facegeo.rendering.studio import Studio
from facegeo.training.model_file import load_model

log = logging.getLogger(__name__)
HEAD = "anny"
LAYOUTS: dict[LayoutName, tuple[type[Layout], int]] = {  # and the pictures of one task
    "landmarks": (LandmarkFolder, 1),
    "photoface": (PhotofaceFolder, 4),
}


@dataclass(frozen=True, config=STRICT)
class CCNNSettings:
    """Keys of ``ccnn``: the model's name."""

    model: str


@dataclass(frozen=True, config=STRICT)
class CasFNESettings:
    """Keys of ``casfne``: the model's name (None: random weights), side of the images in px."""

    model: str | None
    size: Side
    cpu_batch: PositiveInt
    compile: bool


@dataclass(frozen=True, config=STRICT)
class RenderingSettings:
    """Keys of ``rendering``: side of a picture in px, faces and sessions to render."""

    size: PositiveInt
    tasks: PositiveInt


@dataclass(frozen=True, config=STRICT)
class Settings:
    """Keys of ``conf/bench.yaml``, which explains them."""

    only: Annotated[list[Literal["ccnn", "casfne", "training", "rendering"]], Field(min_length=1)]
    device: Literal["auto", "cpu", "cuda"]
    threads: Annotated[list[NonNegativeInt], Field(min_length=1)]
    batches: Annotated[list[PositiveInt], Field(min_length=1)]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    clock: Literal["wall", "cpu"]
    format: Literal["table", "json", "markdown"]
    out: str | None
    compare: str | None
    fail_above: Annotated[float, Field(ge=1)] | None
    ccnn: CCNNSettings
    casfne: CasFNESettings
    training: Lengths
    rendering: RenderingSettings

    @classmethod
    def of(cls, values: dict[str, Any]) -> Settings:
        """Settings of a plain configuration.

        Raises:
            ValidationError: Naming every key whose value is a mistake.
        """
        return TypeAdapter(cls).validate_json(json.dumps(values))  # objects are {KEY: VALUE} there

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device=cuda needs a CUDA GPU, found none; set device=cpu")
        if self.fail_above is not None and self.compare is None:
            raise ValueError("fail_above needs something to compare with: set compare=OLD.json")
        if self.out is not None and Path(self.out).is_dir():
            raise ValueError(
                f"out={self.out} is a folder, wanted a file's name, such as {self.out}/bench.json"
            )
        return self

    @property
    def timing(self) -> Timing:
        """How calls are timed."""
        return Timing(self.seconds, self.clock)

    @property
    def devices(self) -> list[str]:
        """The CPU, a GPU, or both."""
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
        UserError: If a model cannot be used.
    """
    rows: list[Row] = []
    missing = [] if has_onnx() else [MISSING]
    for group in settings.only:
        for made in GROUPS[group](settings, missing):
            if made[0].rounds:
                log.info("measured %s: %s", made[0].group, made[0].case)
            rows += made
    plain = asdict(settings)
    about = {name: plain[name] for name in ("clock", "seconds", *GROUPS)}
    return Report(machine(), about, rows, missing)


def _ccnn(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    model = _model("ccnn.model", settings.ccnn.model, "points")
    yield paper_rows("ccnn")
    if "cpu" in settings.devices:
        cases = cascade.cpu_cases(model, settings.batches, settings.counts, missing)
        yield from (case.measure(settings.timing) for case in cases)
    if "cuda" in settings.devices:
        cases = cascade.cuda_cases(model, settings.batches)
        yield from (case.measure(settings.timing) for case in cases)


def _casfne(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    own = settings.casfne
    torch.manual_seed(0)
    model = CasFNE(2).eval() if own.model is None else _model("casfne.model", own.model, "normals")
    yield paper_rows("casfne")
    if "cpu" in settings.devices:
        batches = list(dict.fromkeys(min(batch, own.cpu_batch) for batch in settings.batches))
        cases = generator.cpu_cases(model, own.size, batches, settings.counts, compiled=own.compile)
        yield from (case.measure(settings.timing) for case in cases)
    if "cuda" in settings.devices:
        cases = generator.cuda_cases(model, own.size, settings.batches)
        yield from (case.measure(settings.timing) for case in cases)


def _training(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    model = _model("ccnn.model", settings.ccnn.model, "points")
    for device in settings.devices:
        yield from training_rows(
            model, settings.training, settings.clock, device, max(settings.counts)
        )


def _rendering(settings: Settings, missing: list[str]) -> Iterator[list[Row]]:
    """Faces and sessions of four photographs, encoded but not written, one process."""
    size, tasks, clock = settings.rendering.size, settings.rendering.tasks, CLOCKS[settings.clock]
    for device in settings.devices:
        begin = time.perf_counter()
        studio = Studio(HEAD, device=device)
        started = time.perf_counter() - begin
        for name, (kind, pictures) in LAYOUTS.items():
            order = Order(train=tasks, test=0, size=size, seed=0, maps=False, layout=name)
            layout, seconds = kind(), []
            layout.make(studio, order, Task("test", 0))
            for number in range(tasks):
                start = clock()
                layout.make(studio, order, Task("train", number))
                seconds.append(clock() - start)
            case = f"{name}, {size} px, 1 process, {device}"
            row = Row("rendering", case, "facegeo-render", pictures, **quartiles(seconds))
            yield [replace(row, note=f"started in {started:.0f} s")]


def _model(key: str, name: str, finds: str) -> Any:  # noqa: ANN401
    """Load a model that finds ``finds``."""
    model, _ = load_model(name)
    found = getattr(model, "finds", "something else")
    if found != finds:
        raise UserError(f"{key}={name} finds {found}, wanted a model of {finds}")
    return model


GROUPS: dict[str, Callable[[Settings, list[str]], Iterator[list[Row]]]] = {
    "ccnn": _ccnn,
    "casfne": _casfne,
    "training": _training,
    "rendering": _rendering,
}
