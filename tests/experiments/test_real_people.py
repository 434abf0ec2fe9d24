"""Scripts of experiments/casfne about real people: the ledger, relief, regions of a face."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

Script = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def relief(script: Script) -> ModuleType:
    return script("experiments/casfne/relief.py")


@pytest.fixture(scope="module")
def robustness(script: Script) -> ModuleType:
    return script("experiments/casfne/robustness.py")


def test_the_ledger_keeps_runs_once_and_compares_seeds(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = script("experiments/casfne/real_people.py")
    ledger.LEDGER = tmp_path / "ledger.csv"
    errors = {"t0": [9.0, 9.2, 9.1], "t1": [8.0, 8.4, 8.1]}
    for variant, values in errors.items():
        for seed, value in enumerate(values):
            folder = tmp_path / f"{variant}-seed{seed}"
            folder.mkdir()
            results = {"test/t0/mean_deg": 9.5} if variant == "t1" else {}
            results[f"test/{variant}/mean_deg"] = value
            results |= {"test/t1/moved_deg": 2.0} if variant == "t1" else {}
            (folder / "metrics.json").write_text(json.dumps(results))
            ledger.add([folder])
            ledger.add([folder])
    assert len(ledger.read()) == 9
    ledger.table(["t0", "t1", "absent"], "t0", "test")
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("| t0 | 3 | 0 | 9.10 +- 0.10 |  |")
    # By hand: differences 1, .8, 1: mean .9333, deviation .1155, t = 14.0, p = .0051.
    assert second.startswith("| t1 | 3 | 1 | 8.17 +- 0.21 | 0.0051 |")
    assert second.endswith("| 2.00 +- 0.00 | - |")


def test_relief_is_the_depth_of_the_nose_over_the_cheeks(relief: ModuleType) -> None:
    rows, columns = np.mgrid[:128, :128].astype(float)
    depth = 20 * np.exp(-((columns - 64) ** 2 + (rows - 60) ** 2) / (2 * 15**2))
    down, right = np.gradient(depth)
    normals = np.stack([-right, down, np.ones_like(depth)], axis=2)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    points = np.array([[40.0, 34], [88, 34], [64, 60], [44, 86], [84, 86]])
    found = relief.nose_to_cheeks(normals, np.ones((128, 128), dtype=bool), points)
    cheeks = depth[60, 36]  # (40 + 44) / 2 less .12 times 48
    assert found == pytest.approx((20 - cheeks) / 48, abs=0.02)


def test_regions_of_a_face_lie_about_its_points_and_share_no_pixel(robustness: ModuleType) -> None:
    points = torch.tensor([[20.0, 20], [44, 20], [32, 34], [22, 47], [42, 47]])
    regions = robustness.parts(points, 64)
    assert sum(region.int() for region in regions.values()).max() == 1
    inside = {"eyes and lids": (20, 44), "nose": (34, 32), "lips": (47, 32), "cheeks": (33, 17)}
    for name, (row, column) in inside.items():
        assert regions[name][row, column], name
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[10:50, 10:50] = True
    mask[25:30, 25:30] = False  # a hole has no rim
    rim = robustness.rim(mask, 64)
    assert rim[12, 30]
    assert not rim[24, 27]
    assert not rim[30, 15]


@pytest.mark.parametrize(
    ("value", "pair"), [(0, (0, 20)), (20, (20, 40)), (90, (75, 90)), (91, None)]
)
def test_a_lamp_is_in_one_row(
    robustness: ModuleType, value: float, pair: tuple[float, float] | None
) -> None:
    assert robustness.between(value, robustness.LAMPS) == pair
