"""Mistakes in options are found before any work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from facegeo.errors import UserError
from facegeo.rendering.order import Order, Purpose, check_processes, tasks

LEAST: dict[str, Any] = {"train": 1, "test": 0, "size": 32, "seed": 0, "maps": False}


def test_defaults_equal_those_of_the_command() -> None:
    shipped = OmegaConf.load(Path(__file__).parents[2] / "conf" / "render.yaml")
    order = Order(**LEAST)
    for name in ("layout", "frame", "shadows", "device", "map_share", "lights"):
        assert getattr(order, name) == shipped[name]
    assert list(order.quality) == shipped.quality
    assert list(order.mask) == shipped.mask
    assert {"head": order.head} in shipped.defaults


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": -1}, r"train must be .* 0, got -1"),
        ({"test": "many"}, r"test must be a whole number, got 'many'"),
        ({"train": 0, "test": 0}, r"train and test are both 0"),
        ({"size": 8}, r"size must be .* 32, got 8"),
        ({"layout": "coco"}, r"layout must be 'landmarks', 'photoface' or 'portraits', got 'coco'"),
        ({"head": "flame"}, r"head must be 'anny' or 'ict', got 'flame'"),
        ({"head": "ict"}, r"head=ict needs its files; set head\.path"),
        ({"head": "ict", "head_path": Path("nowhere")}, r"head\.path=nowhere must hold"),
        ({"quality": (90, 80)}, r"quality must be .*, got \[90, 80\]"),
        ({"quality": (0, 80)}, r"quality must be .* 1.*, got \(0, 80\)"),
        ({"frame": "up"}, r"frame must be .*, got 'up'"),
        ({"shadows": "off"}, r"shadows must be .*, got 'off'"),
        ({"device": "tpu"}, r"device must be .*, got 'tpu'"),
        ({"map_share": 1.5}, r"map_share must be .* 1, got 1\.5"),
        ({"map_share": "many"}, r"map_share must be .*, got 'many'"),
        ({"mask": ()}, r"mask must be one or more of skin, lips, eyes, got \[\]"),
        ({"mask": ("teeth",)}, r"mask must be .*, got \('teeth',\)"),
        ({"map_share": 1.0, "lights": Path("nowhere")}, r"lights must be a folder.* got nowhere"),
        ({"lights": Path("x"), "map_share": 0.0}, r"lights=x needs map_share above 0"),
        ({"layout": "photoface", "map_share": 0.5}, r"map_share must be null .* got 0\.5"),
    ],
)
def test_order_names_option_and_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Order(**LEAST | options)


def test_order_lists_all_errors() -> None:
    with pytest.raises(UserError, match=r"train must .* size must .* mask must .*'nose'"):
        Order(**LEAST | {"train": 1.5, "size": 4097, "mask": ("skin", "nose")})
    with pytest.raises(UserError, match=r"both 0.*head\.path.*lights must"):
        Order(**LEAST | {"train": 0, "head": "ict", "map_share": 1, "lights": Path("nowhere")})


def test_check_processes() -> None:
    with pytest.raises(UserError, match=r"processes must be .*, got 0"):
        check_processes(0)
    assert check_processes(None) >= 1


def test_no_two_draws_share_a_seed() -> None:
    keys = [
        task.key(purpose, seed)
        for task in tasks(6, 6)
        for purpose in Purpose
        for seed in (0, 1, 1 << 32, (1 << 32) + 1)  # NumPy pads keys and splits large numbers
    ]
    drawn = {np.random.default_rng(key).bytes(16) for key in keys}
    assert len(drawn) == len(keys) == 12 * 4 * 4
