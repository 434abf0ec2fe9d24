"""Numbers that were typed wrong are told by their key."""

from collections.abc import Callable
from inspect import signature
from math import nan
from typing import Any

import pytest
from facegeo.predict.keys import check_number
from facegeo.predict.one_euro import OneEuro
from omegaconf import OmegaConf

from facegeo.errors import UserError
from facegeo.files.shipped import conf_dir
from facegeo.predict.detectors import Haar, WholeImage, YuNet
from facegeo.predict.job import Settings
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import Looks


@pytest.mark.parametrize("value", [0, 10, 2.5, 1])
def test_numbers_in_their_range_are_taken(value: float) -> None:
    check_number("key", value, 0, 10)
    check_number("key", int(value), 0, whole=True)


@pytest.mark.parametrize(
    ("value", "whole", "wanted"),
    [
        ("x", False, "a number from 0 to 10, got 'x'"),
        (None, False, "a number from 0 to 10, got None"),
        (True, False, "a number from 0 to 10, got True"),
        (nan, False, "a number from 0 to 10, got nan"),
        (-1, False, "a number from 0 to 10, got -1"),
        (10.5, False, "a number from 0 to 10, got 10.5"),
        (2.5, True, "a whole number from 0 to 10, got 2.5"),
    ],
)
def test_others_are_refused(value: object, whole: bool, wanted: str) -> None:
    with pytest.raises(UserError, match=f"^key must be {wanted}$"):
        check_number("key", value, 0, 10, whole=whole)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Haar(smallest="x"), "detector.smallest must be a number from 0 to 1"),
        (lambda: Haar(neighbours=1.5), "detector.neighbours must be a whole number of 0 or more"),
        (lambda: Haar(longest_px=0), "detector.longest_px must be a whole number of 20 or more"),
        (lambda: YuNet("a.onnx", score=2), "detector.score must be a number from 0 to 1, got 2"),
        (lambda: YuNet("a.onnx", longest_px=0), "detector.longest_px must be a whole number of 20"),
        (lambda: Settings(batch=2.5), "batch must be a whole number of 1 or more, got 2.5"),
        (lambda: Settings(batch=0), "batch must be a whole number of 1 or more, got 0"),
        (lambda: Predictor(list, WholeImage(), looks=1.5), "looks must be a whole number of 1"),
        (lambda: OneEuro(beta="x"), "one_euro.beta must be a number of 0 or more, got 'x'"),
    ],
)
def test_every_key_is_checked(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("detector/haar.yaml", Haar.__init__),
        ("detector/yunet.yaml", YuNet.__init__),
        ("predict.yaml", Settings),
        ("predict.yaml", Looks),
        ("predict.yaml", Predictor.__init__),
        ("predict.yaml", OneEuro),
    ],
    ids=lambda own: getattr(own, "__qualname__", ""),
)
def test_a_command_does_what_a_call_does_unless_it_is_told(
    file: str, own: Callable[..., object]
) -> None:
    told: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / file))
    told |= told.get("one_euro", {})
    defaults = {
        name: parameter.default
        for name, parameter in signature(own).parameters.items()
        if isinstance(parameter.default, int | float | str | None) and name in told
    }
    defaults.pop("smooth", None)  # a switch in the file, its settings in a call
    assert defaults
    assert defaults == {name: told[name] for name in defaults}
