"""Time candidates in turn, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""``wall``: what a user waits. ``cpu``: what the process computes, for a busy machine."""
MOST_ROUNDS = 300
SHORT = 0.1
"""Calls shorter than this, s, are made once more before each that is timed: the candidates before
them have emptied the processor's caches, which would be half the time of a fraction of a ms."""


@dataclass(frozen=True)
class Candidate:
    """One way to do the work.

    Attributes:
        name: As the table shows it.
        call: Does it once; returns what it found.
        items: Faces, images or samples of one call.
        compared: Whether its outputs are held against those of the first that is compared.
        macs: Multiplications of one call as the published network does them; 0: not told.
        note: What a reader must know.
    """

    name: str
    call: Callable[[], object]
    items: int = 1
    compared: bool = True
    macs: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Timing:
    """How measurements are made.

    Attributes:
        seconds: Length of a case, all its candidates together; slow ones take longer.
        least: Rounds at least.
        warm_up: Calls of each candidate before the first round.
        clock: A key of ``CLOCKS``; on a CUDA device its own events are used.
    """

    seconds: float = 3.0
    least: int = 5
    warm_up: int = 2
    clock: str = "wall"

    def measure(
        self, candidates: Sequence[Candidate], device: str = "cpu"
    ) -> dict[str, list[float]]:
        """Time every candidate once a round, round after round, its weights in the caches.

        Args:
            candidates: With different names.
            device: "cpu", or "cuda" for work on the current CUDA device.

        Returns:
            Seconds of each call, by the candidate's name.
        """
        once = _on_cuda if device == "cuda" else _by(CLOCKS[self.clock])
        length, short = 0.0, set()
        for candidate in candidates:
            lasted = 0.0
            for _ in range(self.warm_up):
                begin = time.perf_counter()
                once(candidate.call)
                lasted = time.perf_counter() - begin
            if lasted < SHORT:
                short.add(candidate.name)
            length += lasted * (1 + (lasted < SHORT))
        rounds = int(min(max(self.seconds / max(length, 1e-6), self.least), MOST_ROUNDS))
        found: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
        for _ in range(rounds):
            for candidate in candidates:
                if candidate.name in short:
                    once(candidate.call)
                found[candidate.name].append(once(candidate.call))
        return found


def quantile_ms(seconds: Sequence[float], share: float) -> float:
    """The time that ``share`` of the calls stay below, ms."""
    return float(np.quantile(seconds, share)) * 1e3


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let PyTorch and OpenCV compute on so many cores for a while."""
    import cv2

    before, before_cv = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(before_cv)


def _by(clock: Callable[[], float]) -> Callable[[Callable[[], object]], float]:
    def once(call: Callable[[], object]) -> float:
        begin = clock()
        call()
        return clock() - begin

    return once


def _on_cuda(call: Callable[[], object]) -> float:
    """From the device's first work to its last, waits for the launches in between included."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1e3
