"""One task trained with several feeds in turn: how long steps take, and what lies between."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader

from facegeo.bench.memory import peak_mb, reset_peak
from facegeo.bench.report import Row
from facegeo.bench.timing import CLOCKS, quantile_ms

WARM_UP = 2
"""Batches before the first that is timed."""
ROUNDS = 2
"""Times that both ways to feed a model take their turn."""
Feed = LightningDataModule | DataLoader[object]


@dataclass
class StepClock(Callback):
    """Times steps, and what lies between them: data, and the trainer itself.

    Attributes:
        clock: Seconds.
        steps: Seconds of each step.
        between: Seconds before each step but the first.
    """

    clock: Callable[[], float]
    steps: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    _last: float | None = None

    def on_train_batch_start(self, *_: object) -> None:
        """Data are there."""
        now = self.clock()
        if self._last is not None:
            self.between.append(now - self._last)
        self._last = now

    def on_train_batch_end(self, *_: object) -> None:
        """The weights are new."""
        assert self._last is not None
        now = self.clock()
        self.steps.append(now - self._last)
        self._last = now


def race(
    group: str,
    case: str,
    make: Callable[[], LightningModule],
    feeds: dict[str, Feed],
    batch: int,
    *,
    clock: str,
    device: str,
) -> list[Row]:
    """Train with each feed in turn, ``ROUNDS`` times.

    Args:
        group: Of the rows.
        case: Of the rows.
        make: Builds a task with weights of its own.
        feeds: What the task is fed by, the first to be measured against.
        batch: Samples of a step.
        clock: A key of ``CLOCKS``; on a GPU it is always the wall's.
        device: "cpu" or "cuda".
    """
    clocks: dict[str, list[StepClock]] = {name: [] for name in feeds}
    peaks: dict[str, float | None] = {}
    for _ in range(ROUNDS):
        for name, feed in feeds.items():
            watch = StepClock(_clock(clock, device))
            reset_peak(device)
            _train(make(), feed, watch, device)
            peaks[name] = peak_mb(device)
            clocks[name].append(watch)
    rows = [_row(group, case, name, clocks[name], batch, peaks[name]) for name in feeds]
    return [replace(row, faster=rows[0].median_ms / row.median_ms) for row in rows]


def _row(
    group: str, case: str, name: str, clocks: list[StepClock], batch: int, peak: float | None
) -> Row:
    step = np.concatenate([watch.steps[WARM_UP:] for watch in clocks])
    before = np.concatenate([watch.between[WARM_UP - 1 :] for watch in clocks])
    whole = list(step + before)
    share = float(before.sum() / (before.sum() + step.sum()))
    return Row(
        group=group,
        case=case,
        name=name,
        items=batch,
        median_ms=quantile_ms(whole, 0.5),
        p95_ms=quantile_ms(whole, 0.95),
        low_ms=quantile_ms(whole, 0.25),
        high_ms=quantile_ms(whole, 0.75),
        rounds=len(whole),
        note=f"data {share:.1%} of the time" + (f", peak {peak:,.0f} MB" if peak else ""),
        data_share=share,
        peak_mb=peak,
    )


def _train(task: LightningModule, feed: Feed, watch: StepClock, device: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of loaders without workers, and of no logger
        trainer = Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            max_epochs=1,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[watch],
        )
        if isinstance(feed, LightningDataModule):
            trainer.fit(task, datamodule=feed)
        else:
            trainer.fit(task, feed)


def _clock(name: str, device: str) -> Callable[[], float]:
    if device == "cpu":
        return CLOCKS[name]

    def after_the_device() -> float:
        torch.cuda.synchronize()
        return CLOCKS["wall"]()

    return after_the_device
