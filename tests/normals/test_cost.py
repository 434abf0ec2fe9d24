"""Costs of Cas-FNE: MACs as torch counts them, and the paper's Table IV by its own rule."""

import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from facegeo.normals.baselines import CARN, Restormer
from facegeo.normals.cost import (
    generator_costs,
    generator_tables,
    other_tables,
    profile_generator,
    profile_other,
)
from facegeo.normals.generator import CAT, FMM, CasFNE, MakeFusion

PRINTED = {
    "t1": {"flops_g": 14.2, "params_m": 22.9},
    "t2": {"flops_g": 20.2, "params_m": 29.3},
    "t3": {"flops_g": 26.2, "params_m": 29.3},
    "t4": {"flops_g": 32.2, "params_m": 29.3},
    "t5": {"flops_g": 38.2, "params_m": 29.3},
}


@pytest.fixture(scope="module")
def model() -> CasFNE:
    """The paper's."""
    return CasFNE(2)


def test_true_costs_of_every_t(model: CasFNE) -> None:
    costs = generator_costs(model)
    assert [cost.t for cost in costs] == [0, 1, 2, 3, 4, 5]
    assert [cost.parameters for cost in costs] == [11_767_683] + [18_102_758] * 5
    assert [cost.macs for cost in costs] == [3_570_401_280 + t * 1_870_659_584 for t in range(6)]


@pytest.mark.parametrize("fusion", [CAT, FMM], ids=["cat", "fmm"])
def test_macs_are_half_the_flops_that_torch_counts(
    fusion: MakeFusion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # else torch sets it for good
    model = CasFNE(2, fusion).eval()
    for t in (0, 2):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, 64, 64), t)
        flops = counter.get_flop_counts()["Global"]
        # Convolutions grow with the image; FMM's fully connected layers do not.
        convolved, linear = flops[torch.ops.aten.convolution], flops.get(torch.ops.aten.addmm, 0)
        assert generator_costs(model)[t].macs == convolved / 2 * (256 / 64) ** 2 + linear / 2


def test_papers_counting_rule_gives_table_4(model: CasFNE) -> None:
    costs = generator_costs(model)
    by_rule = [f"{cost.table4_macs / 1e9:.2f}" for cost in costs]
    assert by_rule == ["14.17", "20.18", "26.19", "32.19", "38.20", "44.20"]
    assert {f"{cost.table4_parameters / 1e6:.2f}" for cost in costs[1:]} == {"29.28"}
    assert f"{costs[0].table4_parameters / 1e6:.2f}" == "22.94"


def test_profile_has_the_counts_of_the_papers_model(model: CasFNE) -> None:
    counts = json.loads(json.dumps(profile_generator(model)))
    assert counts["parameters"] == 18_102_758
    assert counts["macs"] == counts["t"][2]["macs"]
    assert counts["size_mb"] == pytest.approx(18_102_758 * 4 / 2**20, abs=1e-4)
    assert counts["discriminator_parameters"] == 1_559_169
    keys = {"t", "parameters", "macs", "table4_parameters", "table4_macs"}
    assert [set(one) for one in counts["t"]] == [keys] * 6


def test_a_model_without_refinements_has_one_row() -> None:
    model = CasFNE(0)
    counts = profile_generator(model)
    assert [one["t"] for one in counts["t"]] == [0]
    assert counts["macs"] == 3_570_401_280
    costs, parts = generator_tables(model, PRINTED)
    assert [row[0] for row in costs.rows] == ["t=0"]
    assert [row[0] for row in parts.rows] == ["E_f", "D_n"]


def test_tables_show_true_counts_beside_the_papers_rule_and_figures(model: CasFNE) -> None:
    costs, parts = generator_tables(model, PRINTED)
    assert len(costs.rows) == 6
    for row, paper in zip(costs.rows, PRINTED.values(), strict=False):
        assert row[6:] == (paper["params_m"], paper["flops_g"])
        assert [round(value, 1) for value in row[4:6]] == list(row[6:])
    assert [row[3] for row in costs.rows] == ["t=1", "t=2", "t=3", "t=4", "t=5", None]
    assert costs.rows[5][6:] == (None, None)
    assert {row[0]: row[1] for row in parts.rows} == {
        "E_f": 11_176_512,
        "D_n": 591_171,
        "E_cn": 1_739_872,
        "D_cn": 4_595_203,
    }
    assert parts.rows[2][2] + parts.rows[3][2] == pytest.approx(1.870659584)


def test_figures_printed_for_cat_are_shown_for_no_other_fusion() -> None:
    costs, _ = generator_tables(CasFNE(1, FMM), PRINTED)
    assert [row[3] for row in costs.rows] == ["t=1", None, None, None, None, None]
    assert [row[6] for row in costs.rows] == [22.9, None, None, None, None, None]


def test_counting_leaves_the_model_as_it_was() -> None:
    model = CasFNE(1).train()
    profile_generator(model)
    assert model.training
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    assert not any(module._forward_hooks for module in model.modules())


def test_carn_macs_are_weights_times_pixels() -> None:
    model = CARN(width=4)
    weights = sum(p.numel() for name, p in model.named_parameters() if name.endswith("weight"))
    counts = json.loads(json.dumps(profile_other(model)))
    assert counts["macs"] == weights * 256**2
    assert counts["attention_macs"] == 0
    assert counts["parameters"] == sum(p.numel() for p in model.parameters())
    assert counts["size_mb"] == pytest.approx(counts["parameters"] * 4 / 2**20, abs=1e-4)
    assert counts["discriminator_parameters"] == 1_559_169


def test_restormer_macs_equal_the_papers_figure() -> None:
    counts = profile_other(Restormer())
    macs, attention = counts["macs"], counts["attention_macs"]
    assert isinstance(macs, int)
    assert isinstance(attention, int)
    assert f"{(macs - attention) / 1e9:.2f}" == "140.99"  # printed as FLOPs, without attention
    # Two products a block, of channels x channels / heads x pixels each.
    pixels = [256**2 // 4**level for level in range(4)]
    blocks = [(48, 1, 4, 0), (96, 1, 4 + 4, 0), (96, 2, 12, 1), (192, 4, 12, 2), (384, 8, 8, 3)]
    assert attention == sum(2 * c * c // h * n * pixels[at] for c, h, n, at in blocks)


def test_another_generators_table_has_one_row() -> None:
    (table,) = other_tables(CARN(width=4))
    ((name, parameters, gmac, attention),) = table.rows
    assert (name, parameters) == ("CARN", sum(p.numel() for p in CARN(width=4).parameters()))
    assert (gmac, attention) == (profile_other(CARN(width=4))["macs"] / 1e9, 0)


def test_counting_another_generator_leaves_it_as_it_was() -> None:
    model = CARN(width=4).train()
    profile_other(model)
    assert model.training
    assert {p.device.type for p in model.parameters()} == {"cpu"}
