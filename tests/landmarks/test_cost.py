"""Costs of the paper's cascade: its counts, its Table 2, and MACs as torch counts them."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from facegeo.landmarks.baselines import ResNetPoints, SunNet
from facegeo.landmarks.cost import module_layers, net_layers, profile_cascade, profile_tables
from facegeo.landmarks.nets import BoxStage, Cascade, PointStage

LAYERS = ("layer1", "layer2", "layer3", "layer4")
ALL = ("LE", "RE", "N", "LM", "RM")
BIG = {"input_size": 39, "channels": [20, 40, 60], "kernels": [4, 3, 3], "hidden": 120}
SMALL = {"input_size": 15, "channels": [20, 40], "kernels": [4, 3], "hidden": 60}
REGIONS = {
    "F1": {"region": (0, 1, 0, 1), "points": ALL},
    "EN1": {"region": (0, 1, 0, 0.8), "points": ALL[:3]},
    "NM1": {"region": (0, 1, 0.2, 1), "points": ALL[2:]},
}


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    """The paper's three stages."""
    return Cascade(
        {
            "stage1": BoxStage(REGIONS, BIG),
            "stage2": PointStage((0.16, 0.18), SMALL, level=2),
            "stage3": PointStage((0.08, 0.09), SMALL, level=3),
        }
    )


def plain_net(side: int, channels: Sequence[int], kernels: Sequence[int], out: int) -> nn.Module:
    """Table 2 built from torch's own layers."""
    layers: list[nn.Module] = []
    for before, after, kernel in zip([3, *channels], channels, kernels, strict=False):
        layers += [nn.Conv2d(before, after, kernel), nn.ReLU(), nn.MaxPool2d(2)]
    hidden = {39: 120, 15: 60}[side]
    layers += [nn.Flatten(), nn.LazyLinear(hidden), nn.ReLU(), nn.Linear(hidden, out)]
    return nn.Sequential(*layers)


def test_totals_are_the_papers(cascade: Cascade) -> None:
    totals = profile_cascade(cascade)
    assert totals["weights"] == 643_920
    assert totals["parameters"] == 647_102 == sum(p.numel() for p in cascade.parameters())
    assert f"{totals['size_mb']:.2f}" == "2.46"


def test_nets_by_name(cascade: Cascade) -> None:
    nets = profile_cascade(cascade)["nets"]
    assert len(nets) == 23
    weights = {name: net["weights"] for name, net in nets.items()}
    assert (weights.pop("F1"), weights.pop("EN1"), weights.pop("NM1")) == (95_760, 95_280, 95_280)
    assert set(weights.values()) == {17_880}
    assert [nets[name]["stage"] for name in ("NM1", "LE21", "RM32")] == [
        "stage1",
        "stage2",
        "stage3",
    ]


def test_table_2_line_by_line(cascade: Cascade) -> None:
    lines = net_layers(cascade.stages["stage1"].bank, 0)
    assert [(one.name, one.input, one.kernel, one.output, one.weights) for one in lines] == [
        ("conv1", "39x39x3", "4x4x20/1", "36x36x20", 960),
        ("pool1", "36x36x20", "2x2/2", "18x18x20", 0),
        ("conv2", "18x18x20", "3x3x40/1", "16x16x40", 7_200),
        ("pool2", "16x16x40", "2x2/2", "8x8x40", 0),
        ("conv3", "8x8x40", "3x3x60/1", "6x6x60", 21_600),
        ("pool3", "6x6x60", "2x2/2", "3x3x60", 0),
        ("120d-fc1", "3x3x60", "-", "120", 64_800),
        ("10d-fc2", "120", "-", "10", 1_200),
    ]
    outputs = [net_layers(cascade.stages["stage1"].bank, net)[-1].name for net in (1, 2)]
    assert outputs == ["6d-fc2", "6d-fc2"]
    small = net_layers(cascade.stages["stage3"].bank, 9)
    assert [one.weights for one in small] == [960, 0, 7_200, 0, 9_600, 120]


@pytest.mark.parametrize(
    ("name", "side", "channels", "kernels", "out"),
    [
        ("F1", 39, (20, 40, 60), (4, 3, 3), 10),
        ("EN1", 39, (20, 40, 60), (4, 3, 3), 6),
        ("N32", 15, (20, 40), (4, 3), 2),
    ],
)
def test_macs_are_half_the_flops_that_torch_counts(
    cascade: Cascade,
    name: str,
    side: int,
    channels: Sequence[int],
    kernels: Sequence[int],
    out: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # else torch sets it for good
    net = plain_net(side, channels, kernels, out)
    crop = torch.zeros(1, 3, side, side)
    with torch.no_grad():
        net(crop)  # LazyLinear learns its size
        with FlopCounterMode(display=False) as counter:
            net(crop)
    ours = profile_cascade(cascade)["nets"][name]
    assert ours["macs"] == counter.get_total_flops() / 2
    assert ours["parameters"] == sum(p.numel() for p in net.parameters())


def test_totals_add_up_and_survive_json(cascade: Cascade) -> None:
    totals = json.loads(json.dumps(profile_cascade(cascade)))
    for quantity in ("weights", "parameters", "macs"):
        assert totals[quantity] == sum(net[quantity] for net in totals["nets"].values())
        layers = [layer for net in totals["nets"].values() for layer in net["layers"]]
        if quantity != "parameters":
            assert totals[quantity] == sum(layer[quantity] for layer in layers)


def test_tables_show_each_build_once_and_the_total(cascade: Cascade) -> None:
    costs, *layers = profile_tables(cascade)
    assert [row[:4] for row in costs.rows] == [
        ("F1", 1, 95_760, 96_010),
        ("EN1, NM1", 2, 95_280, 95_526),
        ("LE21, LE22 ... RM32", 20, 17_880, 18_002),
        ("all together", 23, 643_920, 647_102),
    ]
    assert [len(table.rows) for table in layers] == [8, 8, 6]
    assert layers[0].rows[1] == ("pool1", "36x36x20", "2x2/2", "18x18x20", None, None, None)


def test_the_papers_table_3_is_shown_beside_ours(cascade: Cascade) -> None:
    table = profile_tables(cascade, {"CCNN": {"size_mb": 2.46, "time_ms": 14.7}})[1]
    assert [row[0] for row in table.rows] == [
        "counted: weights",
        "counted: all parameters",
        "printed: CCNN",
    ]
    sizes = [row[1] for row in table.rows]
    assert sizes == [pytest.approx(643_920 * 4 / 2**20), pytest.approx(647_102 * 4 / 2**20), 2.46]
    assert table.rows[2][2] == 14.7


def test_nets_of_another_build_are_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # else torch sets it for good
    face = {"face": {"region": (0, 1, 0, 1), "points": ALL}}
    cascade = Cascade({"stage1": BoxStage(face, partial(ResNetPoints, input_size=32, depth=18))})
    totals = profile_cascade(cascade)
    assert totals["parameters"] == sum(p.numel() for p in cascade.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        cascade.stages["stage1"].eval().bank(torch.zeros(1, 1, 3, 32, 32))
    assert totals["macs"] == counter.get_total_flops() / 2
    names = [layer["name"] for layer in totals["nets"]["face"]["layers"]]
    assert names == [f"encoder.{n}" for n in ("conv1", "bn1", *LAYERS)] + ["fc"]


def test_layers_of_any_net() -> None:
    shape = {"channels": [2, 3], "kernels": [4, 3], "parts": [[1, 1], [2, 1]], "pools": 1}
    net = SunNet(2, size=(15, 15), hidden=5, **shape)
    lines = module_layers(net, 1, 15)
    assert [(one.name, one.input, one.kernel, one.output) for one in lines] == [
        ("convs.0", "15x15x1", "4x4x2/1", "12x12x2"),
        ("convs.1", "6x6x2", "2 of 3x3x3/1", "4x4x3"),
        ("fc1", "48", "-", "5"),
        ("fc2", "5", "-", "2"),
    ]
    counts = [(one.weights, one.biases, one.macs) for one in lines]
    assert counts == [
        (16 * 2, 2, 16 * 2 * 144),
        (2 * 9 * 2 * 3, 2 * 3, 9 * 2 * 3 * 16),
        (48 * 5, 5, 48 * 5),
        (5 * 2, 2, 5 * 2),
    ]
