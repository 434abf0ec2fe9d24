"""Mistakes in options are found before any work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from facegeo.errors import UserError
from facegeo.rendering.order import Order, Purpose, check_processes, tasks

LEAST: dict[str, Any] = {"train": 1, "test": 0, "size": 32, "seed": 0, "maps": False}


def test_defaults_are_those_of_the_command() -> None:
    said = OmegaConf.load(Path(__file__).parents[2] / "conf" / "render.yaml")
    order = Order(**LEAST)
    for name in ("layout", "frame", "shadows", "device", "map_share", "lights"):
        assert getattr(order, name) == said[name]
    assert list(order.quality) == said.quality
    assert list(order.mask) == said.mask
    assert {"head": order.head} in said.defaults


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": -1}, r"train must be a whole number from 0 to 10000000, got -1"),
        ({"test": "many"}, r"test must be a whole number .*, got 'many'"),
        ({"train": 0, "test": 0}, r"nothing to render"),
        ({"size": 8}, r"size must be a whole number from 32 to 4096, got 8"),
        ({"layout": "coco"}, r"layout must be one of landmarks, photoface, portraits; got 'coco'"),
        ({"head": "flame"}, r"head must be one of anny, ict; got 'flame'"),
        ({"head": "ict"}, r"head=ict needs its files; set head\.path"),
        ({"head": "ict", "head_path": Path("nowhere")}, r"head\.path=nowhere must hold"),
        ({"quality": (90, 80)}, r"quality must be \[worst, best\] in 1\.\.100, got \[90, 80\]"),
        ({"frame": "up"}, r"frame must be one of down_right_camera, right_up_camera"),
        ({"shadows": "off"}, r"shadows must be true or false, got 'off'"),
        ({"device": "tpu"}, r"device must be one of cpu, cuda"),
    ],
)
def test_a_mistake_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Order(**LEAST | options).check()


def test_zero_processes_are_refused() -> None:
    with pytest.raises(UserError, match=r"processes must be a whole number from 1 to 1024, got 0"):
        check_processes(0)
    assert check_processes(None) >= 1


def test_no_two_draws_share_their_numbers() -> None:
    keys = [
        task.key(purpose, seed)
        for task in tasks(6, 6)
        for purpose in Purpose
        for seed in (0, 1, 1 << 32, (1 << 32) + 1)  # NumPy pads keys and splits large numbers
    ]
    drawn = {np.random.default_rng(key).bytes(16) for key in keys}
    assert len(drawn) == len(keys) == 12 * 4 * 4
