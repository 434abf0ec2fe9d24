"""Settings of predictions: wrong ones are named by their key; defaults are those of the configs."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest
from omegaconf import OmegaConf

from facegeo.errors import UserError
from facegeo.files.shipped import conf_dir
from facegeo.predict.detectors import Haar, WholeImage, YuNet
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import Pictures, Settings
from facegeo.predict.tracks import OneEuro


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Haar(smallest="x"), "detector.smallest must be .*, got 'x'"),
        (lambda: Haar(neighbours=1.5), r"detector.neighbours must be .*, got 1\.5"),
        (lambda: Haar(longest_px=0), "detector.longest_px must be .* 20, got 0"),
        (lambda: YuNet("a.onnx", score=2), "detector.score must be .* 1, got 2"),
        (lambda: Settings(batch=0), "batch must be .* 1, got 0"),
        (lambda: Predictor(list, WholeImage(), looks=1.5), r"looks must be .*, got 1\.5"),
        (lambda: OneEuro(beta="x"), "one_euro.beta must be .*, got 'x'"),
        (lambda: OneEuro(beta=-1), "one_euro.beta must be .*, got -1"),
        (lambda: OneEuro(min_cutoff=0), "one_euro.min_cutoff must be .*, got 0"),
        (lambda: OneEuro(speed_cutoff=0), "one_euro.speed_cutoff must be .*, got 0"),
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
        ("predict.yaml", Pictures),
        ("predict.yaml", Predictor.__init__),
        ("predict.yaml", OneEuro),
    ],
    ids=lambda own: getattr(own, "__qualname__", ""),
)
def test_defaults_of_commands_and_classes_are_equal(file: str, own: Callable[..., object]) -> None:
    configured: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / file))
    configured |= configured.get("one_euro", {})
    defaults = {
        name: parameter.default
        for name, parameter in signature(own).parameters.items()
        if isinstance(parameter.default, int | float | str | None) and name in configured
    }
    defaults.pop("smooth", None)  # a switch in the file, its settings in a call
    assert defaults
    assert defaults == {name: configured[name] for name in defaults}
