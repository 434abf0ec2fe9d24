"""One case of a measurement: candidates for the same work, timed in turn and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from facegeo.bench.report import Row
from facegeo.bench.timing import Candidate, Timing, cpu_threads, quantile_ms


@dataclass(frozen=True)
class Case:
    """Candidates for the same work.

    Attributes:
        group: Such as "ccnn".
        name: Such as "1 face, 1 thread".
        candidates: The first is what the others are measured against.
        device: "cpu" or "cuda".
        threads: Cores that may compute.
    """

    group: str
    name: str
    candidates: Sequence[Candidate]
    device: str = "cpu"
    threads: int = 1

    def measure(self, timing: Timing) -> list[Row]:
        """Time and compare all candidates."""
        with cpu_threads(self.threads), torch.inference_mode():
            differs = self._differences()
            found = timing.measure(self.candidates, self.device)
        first = float(np.median(found[self.candidates[0].name]))
        return [
            Row(
                group=self.group,
                case=self.name,
                name=candidate.name,
                items=candidate.items,
                median_ms=quantile_ms(seconds, 0.5),
                p95_ms=quantile_ms(seconds, 0.95),
                low_ms=quantile_ms(seconds, 0.25),
                high_ms=quantile_ms(seconds, 0.75),
                rounds=len(seconds),
                faster=first / float(np.median(seconds)),
                differs=differs.get(candidate.name),
                note=_note(candidate, float(np.median(seconds))),
            )
            for candidate in self.candidates
            for seconds in [found[candidate.name]]
        ]

    def _differences(self) -> dict[str, float]:
        """Greatest difference to the first candidate of each other that finds the same."""
        compared = [candidate for candidate in self.candidates if candidate.compared]
        if len(compared) < 2:
            return {}
        first, *others = compared
        wanted = list(_arrays(first.call()))
        return {
            other.name: max(
                float(np.abs(a - b).max())
                for a, b in zip(_arrays(other.call()), wanted, strict=True)
            )
            for other in others
        }


def _note(candidate: Candidate, seconds: float) -> str:
    rate = 2 * candidate.macs / seconds / 1e9
    return "; ".join(filter(None, [candidate.note, f"{rate:,.0f} GFLOP/s" if rate else ""]))


def _arrays(found: object) -> Iterator[npt.NDArray[np.float64]]:
    """Numbers of an array, a tensor or a sequence of them."""
    if isinstance(found, torch.Tensor):
        yield found.float().cpu().double().numpy()
    elif isinstance(found, np.ndarray):
        yield found.astype(np.float64)
    elif isinstance(found, Iterable):
        for part in found:
            yield from _arrays(part)
