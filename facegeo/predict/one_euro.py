"""One-euro filter: steady where a face rests, quick where it moves.

Casiez, Roussel, Vogel: 1 Euro Filter, CHI 2012, Sec. 3 and Appendix A.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt

from facegeo.predict.keys import check_number

Values = npt.NDArray[np.float64]
LEAST_HZ = 1e-3
"""Least cut-off frequency: slower, and a value never comes to where it should be."""


@dataclass(frozen=True)
class OneEuro:
    """How much to smooth.

    With the defaults, points of a face 79 px wide that jitter by 0.34 px a frame, as at rest in a
    noisy video, jitter by 0.07, and are 0.5 px off while the face swings at up to a box width a
    second (white noise, 25 frames a second; ``tests/predict/test_one_euro.py``).

    Attributes:
        min_cutoff: Cut-off frequency at rest, Hz: lower is steadier, and later.
        beta: What is added to it, Hz for each box width a second: higher follows faster.
        speed_cutoff: Cut-off frequency of the speed itself, Hz (paper: 1).
    """

    min_cutoff: float = 1.0
    beta: float = 30.0
    speed_cutoff: float = 1.0

    def __post_init__(self) -> None:
        check_number("one_euro.min_cutoff", self.min_cutoff, LEAST_HZ)
        check_number("one_euro.beta", self.beta, 0)
        check_number("one_euro.speed_cutoff", self.speed_cutoff, LEAST_HZ)


class Smoother:
    """Filters one series of values, each number by itself.

    Args:
        how: Its parameters.
    """

    def __init__(self, how: OneEuro) -> None:
        self.how = how
        self._last: tuple[float, Values, Values] | None = None  # time, speed, smooth

    def __call__(self, values: Values, seconds: float, unit: float = 1.0) -> Values:
        """Return the next values, smoothed; the first come back as they are.

        The speed is that from the smoothed value before to the new one, as in the paper's listing;
        code that takes it between two raw values lags more and is no steadier.

        Args:
            values: Any shape, always the same.
            seconds: Time of these values, later than that of the last.
            unit: What speeds are counted in, such as the width of the face's box.
        """
        if self._last is None:
            self._last = (seconds, np.zeros_like(values), values)
            return values
        time, speed, smooth = self._last
        step = seconds - time
        now = (values - smooth) / step / unit
        speed = _blend(now, speed, _weight(self.how.speed_cutoff, step))
        cutoff = self.how.min_cutoff + self.how.beta * np.abs(speed)
        smooth = _blend(values, smooth, _weight(cutoff, step))
        self._last = (seconds, speed, smooth)
        return smooth


def _weight(cutoff: Values | float, step: float) -> Values | float:
    """Return alpha of a low-pass filter: 1 / (1 + tau / T), tau = 1 / (2 pi f)."""
    return 1 / (1 + 1 / (2 * pi * cutoff * step))


def _blend(new: Values, old: Values, weight: Values | float) -> Values:
    return weight * new + (1 - weight) * old
