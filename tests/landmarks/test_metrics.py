"""LandmarkErrors against NumPy, by hand, in unequal batches, and across processes."""

import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import MetricCollection

from facegeo.landmarks.metrics import LandmarkErrors

Batch = tuple[Tensor, Tensor, Tensor]
POINTS = ("LE", "RE", "N", "LM", "RM")
NAN = float("nan")


@pytest.fixture
def faces() -> Batch:
    """Sixty made-up faces: points found, true points, box widths, in pixels."""
    generator = np.random.default_rng(0)
    shape = np.array([[0.27, 0.26], [0.74, 0.25], [0.5, 0.54], [0.31, 0.77], [0.71, 0.76]])
    width = generator.uniform(45, 260, size=60)
    target = (shape + generator.normal(0, 0.02, (60, 5, 2))) * width[:, None, None] + 31
    spread = generator.uniform(0.005, 0.08, (60, 1, 1))
    pred = target + generator.normal(0, 1, (60, 5, 2)) * spread * width[:, None, None]
    return tuple(torch.from_numpy(a).float() for a in (pred, target, width))  # type: ignore[return-value]


def numpy_reference(pred: Tensor, target: Tensor, width: Tensor) -> dict[str, float]:
    """Every quantity from its definition, with loops and sorting in place of sums and bins."""
    p, g, w = (t.numpy().astype(np.float64) for t in (pred, target, width))
    errors = np.hypot(*np.moveaxis(p - g, -1, 0)) / w[:, None] * 100
    values = {"error_pct": errors.mean()}
    for k, name in enumerate(POINTS):
        values[f"error_{name}_pct"] = errors[:, k].mean()
        for limit in (5, 10):
            values[f"fail{limit}_{name}_pct"] = 100 * (errors[:, k] > limit).mean()
    for limit in (5, 10):
        values[f"fail{limit}_pct"] = 100 * (errors > limit).mean()
    grid = (np.arange(200_000) + 0.5) / 200_000 * 10  # the area, as a plain sum over thresholds
    shares = np.searchsorted(np.sort(errors.mean(axis=1)), grid, side="right") / len(errors)
    values["auc10"] = shares.mean()
    eyes = np.hypot(*(g[:, 1] - g[:, 0]).T)
    values["nme_interocular_pct"] = (errors * w[:, None] / eyes[:, None]).mean()
    return values


def as_floats(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in values.items()}


def test_every_quantity_agrees_with_numpy(faces: Batch) -> None:
    metric = LandmarkErrors()
    metric.update(*faces)
    # 1e-5: the results are float32, and the reference's area is a sum over 200,000 steps
    assert as_floats(metric.compute()) == pytest.approx(numpy_reference(*faces), rel=1e-5)


def test_known_errors_of_two_faces() -> None:
    target = torch.tensor([[0.0, 0.0], [40.0, 0.0], [20.0, 20.0], [5.0, 40.0], [35.0, 40.0]])
    target = target.expand(2, 5, 2)
    pred = target.clone()
    pred[0, 0] += torch.tensor([3.0, 4.0])  # 5 px of 80 = 6.25 % and 12.5 % of the eyes
    pred[1] += torch.tensor([0.0, 4.0])  # 4 px of 100 = 4 %, all points
    metric = LandmarkErrors()
    metric.update(pred, target, torch.tensor([80.0, 100.0]))
    got = as_floats(metric.compute())
    assert got["error_LE_pct"] == pytest.approx((6.25 + 4) / 2)
    assert got["error_RM_pct"] == pytest.approx(2)
    assert got["error_pct"] == pytest.approx((6.25 + 5 * 4) / 10)
    assert got["fail5_LE_pct"] == 50
    assert got["fail5_pct"] == pytest.approx(10)
    assert got["fail10_pct"] == 0
    assert got["auc10"] == pytest.approx(((1 - 0.125) + (1 - 0.4)) / 2)
    assert got["nme_interocular_pct"] == pytest.approx((12.5 + 5 * 10) / 10)


def test_images_count_alike_whatever_the_batches(faces: Batch) -> None:
    whole, parts = LandmarkErrors(), LandmarkErrors()
    whole.update(*faces)
    for chunk in zip(*(t.split([1, 41, 0, 18]) for t in faces), strict=True):
        parts.update(*chunk)
    assert as_floats(parts.compute()) == pytest.approx(as_floats(whole.compute()), rel=1e-6)
    torch.testing.assert_close(parts.ced_curve(), whole.ced_curve())


def test_origin_and_scale_do_not_matter(faces: Batch) -> None:
    pred, target, width = faces
    plain, moved = LandmarkErrors(), LandmarkErrors()
    plain.update(pred, target, width)
    moved.update(pred * 2 - 300, target * 2 - 300, width * 2)
    # 1e-4: pixels near 500 in float32 are known to 3e-5
    assert as_floats(moved.compute()) == pytest.approx(as_floats(plain.compute()), rel=1e-4)


def test_curve_is_the_share_at_or_below_each_threshold() -> None:
    target = torch.zeros(4, 5, 2, dtype=torch.float64)
    pred = target.clone()
    pred[:, :, 0] = torch.tensor([0.0, 0.07, 2.345, 11.0], dtype=torch.float64)[:, None]
    metric = LandmarkErrors()
    metric.update(pred, target, torch.full((4,), 100.0))
    thresholds, shares = metric.ced_curve()
    torch.testing.assert_close(thresholds, torch.linspace(0, 10, 1001, dtype=torch.float64))
    steps = {0: 0.25, 6: 0.25, 7: 0.5, 234: 0.5, 235: 0.75, 1000: 0.75}
    assert {i: shares[i].item() for i in steps} == steps


def test_area_under_the_drawn_curve_is_the_auc(faces: Batch) -> None:
    metric = LandmarkErrors()
    metric.update(*faces)
    thresholds, shares = metric.ced_curve()
    area = torch.trapezoid(shares, thresholds) / 10
    # one bin of 0.01 % in 10 %: the curve is a staircase, the sum is exact
    assert area.item() == pytest.approx(metric.compute()["auc10"].item(), abs=1e-3)


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_a_point_that_is_not_finite_is_a_failure_and_shows(faces: Batch, value: float) -> None:
    pred, target, width = faces
    broken = pred.clone()
    broken[0, 2, 0] = value
    metric, without = LandmarkErrors(), LandmarkErrors()
    metric.update(broken, target, width)
    without.update(pred[1:], target[1:], width[1:])
    got, rest = as_floats(metric.compute()), as_floats(without.compute())
    assert all(math.isnan(got[k]) for k in ("error_pct", "error_N_pct", "nme_interocular_pct"))
    assert math.isfinite(got["error_LE_pct"])
    for name in ("fail5_N_pct", "fail10_N_pct"):
        assert got[name] == pytest.approx((59 * rest[name] + 100) / 60)
    assert got["auc10"] == pytest.approx(59 / 60 * rest["auc10"])
    torch.testing.assert_close(metric.ced_curve()[1], without.ced_curve()[1] * 59 / 60)


def test_empty_metric_is_nan() -> None:
    metric = LandmarkErrors()
    metric.update(torch.zeros(0, 5, 2), torch.zeros(0, 5, 2), torch.zeros(0))
    assert all(math.isnan(value) for value in as_floats(metric.compute()).values())
    assert metric.ced_curve()[1].isnan().all()


def test_eyes_on_one_spot_spoil_only_what_is_divided_by_their_distance(faces: Batch) -> None:
    pred, target, width = faces
    target = target.clone()
    target[3, 1] = target[3, 0]
    metric = LandmarkErrors()
    metric.update(pred, target, width)
    got = as_floats(metric.compute())
    assert {name for name, value in got.items() if math.isnan(value)} == {"nme_interocular_pct"}


def test_the_mean_shape_is_worse_than_a_good_guess(faces: Batch) -> None:
    _, target, width = faces
    mean_shape = ((target - 31) / width[:, None, None]).mean(dim=0)
    metric = LandmarkErrors()
    metric.update(mean_shape * width[:, None, None] + 31, target, width)
    # sigma 2 % along x and along y: mean distance is the Rayleigh mean, 2 * sqrt(pi / 2) = 2.5
    assert metric.compute()["error_pct"].item() == pytest.approx(2.5, rel=0.1)


def test_two_halves_merge_to_the_whole_also_when_pickled(faces: Batch) -> None:
    whole, first, second = LandmarkErrors(), LandmarkErrors(), LandmarkErrors()
    whole.update(*faces)
    first.update(*(t[:7] for t in faces))
    second.update(*(t[7:] for t in faces))
    first = pickle.loads(pickle.dumps(first))
    first.merge_state(second)
    assert as_floats(first.compute()) == pytest.approx(as_floats(whole.compute()), rel=1e-6)
    torch.testing.assert_close(first.ced_curve(), whole.ced_curve())


def test_reset_forgets_everything(faces: Batch) -> None:
    metric = LandmarkErrors()
    metric.update(*faces)
    metric.reset()
    metric.update(*(t[:5] for t in faces))
    expected = numpy_reference(*(t[:5] for t in faces))
    assert as_floats(metric.compute()) == pytest.approx(expected, rel=1e-5)


def test_prefixes_name_split_and_stage(faces: Batch) -> None:
    metric = MetricCollection({"any": LandmarkErrors("stage1/")}, prefix="test/")
    metric.update(*faces)
    names = metric.compute().keys()
    assert {"test/stage1/error_pct", "test/stage1/fail10_LM_pct", "test/stage1/auc10"} <= names
    assert all(name.startswith("test/stage1/") for name in names)


def test_half_precision_around_it_does_not_round_errors_or_sums(faces: Batch) -> None:
    halves = tuple(t.half() for t in faces)
    metric = torch.nn.ModuleDict({"errors": LandmarkErrors()}).half()["errors"]
    metric.update(*halves)
    # half precision itself would be off by 1e-3
    assert as_floats(metric.compute()) == pytest.approx(numpy_reference(*halves), rel=1e-5)


def test_other_numbers_of_points_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pred must have shape \(B, 5, 2\), got \(1, 68, 2\)"):
        LandmarkErrors().update(torch.zeros(1, 68, 2), torch.zeros(1, 68, 2), torch.ones(1))


TWO_PROCESSES = """
import sys
import torch
import torch.distributed as dist
from facegeo.landmarks.metrics import LandmarkErrors

def work(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    faces = torch.load(f"{folder}/faces.pt")
    metric = LandmarkErrors()
    metric.update(*(t[:7] if rank == 0 else t[7:] for t in faces))
    torch.save((metric.compute(), metric.ced_curve()), f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()

if __name__ == "__main__":
    torch.multiprocessing.spawn(work, (sys.argv[1],), nprocs=2)
"""


@pytest.mark.slow
def test_two_processes_agree_on_the_whole(faces: Batch, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES, encoding="utf-8")
    torch.save(faces, tmp_path / "faces.pt")
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=120)
    whole = LandmarkErrors()
    whole.update(*faces)
    for rank in (0, 1):
        values, curve = torch.load(tmp_path / f"{rank}.pt")
        assert as_floats(values) == pytest.approx(as_floats(whole.compute()), rel=1e-6)
        torch.testing.assert_close(curve, whole.ced_curve())
