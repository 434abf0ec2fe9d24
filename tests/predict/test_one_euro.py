"""The one-euro filter against its definition, number by number."""

from math import pi

import numpy as np
import pytest
from facegeo.predict.one_euro import OneEuro, Smoother

from facegeo.errors import UserError


def reference(values: list[float], rate: float, cutoff: float, beta: float, dcut: float) -> list:
    """Casiez et al. 2012, the listing in their appendix: plain numbers, one value at a time."""

    def alpha(frequency: float) -> float:
        tau, period = 1 / (2 * pi * frequency), 1 / rate
        return 1.0 / (1.0 + tau / period)

    smooth, speed, out = values[0], 0.0, [values[0]]
    for value in values[1:]:
        speed = alpha(dcut) * (value - smooth) * rate + (1 - alpha(dcut)) * speed
        a = alpha(cutoff + beta * abs(speed))
        smooth = a * value + (1 - a) * smooth
        out.append(smooth)
    return out


def test_it_is_the_filter_of_the_paper() -> None:
    values = np.random.default_rng(0).normal(size=(30, 2)).cumsum(axis=0)
    smoother = Smoother(OneEuro(min_cutoff=1.2, beta=0.7, speed_cutoff=0.9))
    got = np.array([smoother(value, number / 25) for number, value in enumerate(values)])
    for column in range(2):
        wanted = reference(values[:, column].tolist(), 25, 1.2, 0.7, 0.9)
        np.testing.assert_allclose(got[:, column], wanted)


def test_speeds_are_counted_in_the_unit() -> None:
    """Twice the face, twice the movement: twice the answer."""
    values = np.random.default_rng(1).normal(size=(20, 3)).cumsum(axis=0)
    small, large = Smoother(OneEuro()), Smoother(OneEuro())
    for number, value in enumerate(values):
        one = small(value, number / 30, unit=1.0)
        np.testing.assert_allclose(large(2 * value, number / 30, unit=2.0), 2 * one)


def test_rest_is_steadied_and_movement_followed() -> None:
    noise = np.random.default_rng(2).normal(0, 0.004, (100, 1))
    moving = np.clip(np.arange(100) / 25 - 2, 0, None)[
        :, None
    ]  # rests two seconds, then 1 a second
    smoother = Smoother(OneEuro())
    got = np.array([smoother(v, i / 25) for i, v in enumerate(moving + noise)])
    assert np.diff(got[10:50], axis=0).std() < 0.4 * np.diff(noise[10:50], axis=0).std()
    assert np.abs(got - moving)[75:].mean() < 0.01


def test_the_defaults_do_what_they_say() -> None:
    """Jitter: mean move of a point from frame to frame; 79 px wide, half a swing a second."""

    def smooth(values: np.ndarray) -> np.ndarray:
        smoother = Smoother(OneEuro())
        return np.array([smoother(value, i / 25, 79) for i, value in enumerate(values)])[25:]

    def jitter(values: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(values, axis=0), axis=-1).mean())

    noise = np.random.default_rng(0).normal(size=(400, 5, 2))
    noise *= 0.34 / jitter(noise)
    swing = np.zeros_like(noise)
    swing[..., 0] = 79 / np.pi * np.sin(np.pi * np.arange(400) / 25)[:, None]
    assert jitter(smooth(noise)) == pytest.approx(0.07, abs=0.005)
    off = np.linalg.norm(smooth(swing + noise) - swing[25:], axis=-1)
    assert off.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("options", [{"min_cutoff": 0}, {"beta": -1}, {"speed_cutoff": 0}])
def test_parameters_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"one_euro\..* must be a number of"):
        OneEuro(**options)
