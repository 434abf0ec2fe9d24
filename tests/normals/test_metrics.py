"""Errors of normals against NumPy, by hand, in unequal batches, and merged."""

import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from facegeo.normals.metrics import AuthorErrors, NormalErrors

Batch = tuple[Tensor, Tensor, Tensor]
EITHER = pytest.mark.parametrize("kind", [NormalErrors, AuthorErrors])
CAMERA = torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1)


def tilted(*degrees: float) -> Tensor:
    """One image of one row, pixels turned away from the camera by so much, (1, 3, 1, W)."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angle.sin(), 0 * angle, angle.cos()])[None, :, None].float()


def row(*degrees: float) -> Batch:
    pred = tilted(*degrees)
    return pred, CAMERA.expand_as(pred), torch.ones(1, 1, 1, len(degrees), dtype=torch.bool)


def as_floats(values: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in values.items()}


def measured(metric: Metric, *batches: Batch) -> dict[str, float]:
    for batch in batches:
        metric.update(*batch)
    return as_floats(metric.compute())


@pytest.fixture
def faces() -> Batch:
    """Twenty-one made-up faces whose masks are of very unlike size; one of them is empty."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(21, 3, 8, 8, generator=generator)
    target[:, 2] += 2
    spread = torch.linspace(0.1, 1.5, 21).view(21, 1, 1, 1)
    pred = target + spread * torch.randn(21, 3, 8, 8, generator=generator)
    share = torch.linspace(1, 0.02, 21).view(21, 1, 1, 1)
    mask = torch.rand(21, 1, 8, 8, generator=generator) < share
    mask[4] = False
    normalize = torch.nn.functional.normalize
    return normalize(pred), normalize(target) * mask, mask


def angles_of(faces: Batch) -> list[np.ndarray]:
    """The angle of every mask pixel, an array an image, by arccos in float64."""
    pred, target, mask = (t.double().numpy() for t in faces)
    cosine = (pred * target).sum(1) / np.linalg.norm(pred, axis=1)
    return [
        np.degrees(np.arccos(c[m[0] > 0].clip(-1, 1))) for c, m in zip(cosine, mask, strict=True)
    ]


def numpy_pooled(faces: Batch) -> dict[str, float]:
    images = [angles for angles in angles_of(faces) if len(angles)]
    pixels = np.concatenate(images)
    means = np.array([angles.mean() for angles in images])
    shares = {f"lt{t:g}_pct": 100 * (pixels < t).mean() for t in (11.25, 20, 22.5, 25, 30)}
    return shares | {
        "mean_deg": pixels.mean(),
        "std_deg": pixels.std(),
        "median_deg": np.median(pixels),
        "rmse_deg": np.sqrt((pixels**2).mean()),
        "image_mean_deg": means.mean(),
        "image_std_deg": means.std(),
    }


def numpy_author(faces: Batch) -> dict[str, float]:
    images = angles_of(faces)
    groups = [np.concatenate(images[i : i + 8]) for i in range(0, len(images), 8)]
    shares = {f"lt{t}_pct": 100 * np.mean([(g < t).mean() for g in groups]) for t in (20, 25, 30)}
    means, stds = [g.mean() for g in groups], [g.std() for g in groups]
    return shares | {"mean_deg": np.mean(means), "std_deg": np.mean(stds)}


def test_every_quantity_agrees_with_numpy(faces: Batch) -> None:
    got, wanted = measured(NormalErrors(), faces), numpy_pooled(faces)
    assert got.keys() == wanted.keys()
    median = got.pop("median_deg")
    assert median == pytest.approx(wanted.pop("median_deg"), abs=0.005001)  # half a bin
    assert got == pytest.approx(wanted, rel=1e-5)  # results are float32


def test_the_authors_numbers_agree_with_numpy(faces: Batch) -> None:
    got = measured(AuthorErrors(), faces)
    assert got == pytest.approx(numpy_author(faces), rel=1e-5)
    assert got["mean_deg"] != pytest.approx(measured(NormalErrors(), faces)["mean_deg"], rel=0.01)


def test_known_errors_of_two_images() -> None:
    first, second = row(0, 10, 20, 30), row(60)
    got = measured(NormalErrors(), first, second)
    assert got["mean_deg"] == pytest.approx(24)
    assert got["rmse_deg"] == pytest.approx(math.sqrt((100 + 400 + 900 + 3600) / 5))
    assert got["std_deg"] == pytest.approx(math.sqrt(5000 / 5 - 24**2))
    assert got["median_deg"] == pytest.approx(20, abs=0.0051)
    assert got["lt11.25_pct"] == pytest.approx(40)
    assert got["lt25_pct"] == pytest.approx(60)
    assert got["image_mean_deg"] == pytest.approx((15 + 60) / 2)
    assert got["image_std_deg"] == pytest.approx(22.5)


def test_thresholds_are_strict() -> None:
    # exact in float32: 45 degrees from equal components, against a limit of 22.5 from none
    metric = NormalErrors()
    pred = torch.tensor([1.0, 0, 1]).view(1, 3, 1, 1)
    angle = measured(metric, (pred, CAMERA, torch.ones(1, 1, 1, 1, dtype=torch.bool)))["mean_deg"]
    assert angle == 45
    import facegeo.normals.metrics as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "THRESHOLDS_DEG", (45.0,) * 5)
        assert measured(NormalErrors(), (pred, CAMERA, torch.ones(1, 1, 1, 1) > 0))["lt45_pct"] == 0


def test_opposite_normals_differ_by_180_degrees() -> None:
    got = measured(NormalErrors(), row(180, 180, 0))
    assert got["mean_deg"] == pytest.approx(120)
    assert got["median_deg"] == pytest.approx(180, abs=0.0051)
    assert got["median_deg"] <= 180


def test_one_pixel() -> None:
    got = measured(NormalErrors(), row(12))
    assert got["median_deg"] == pytest.approx(12, abs=0.0051)
    wanted = {"mean_deg": 12.0, "std_deg": 0.0, "rmse_deg": 12.0}
    assert {name: got[name] for name in wanted} == pytest.approx(wanted, abs=1e-3)
    assert measured(AuthorErrors(), row(12))["lt20_pct"] == 100


@EITHER
def test_equal_pixels_have_no_deviation(kind: type[Metric]) -> None:
    for degrees in (1.1, 7.3, 33.3, 77.7):  # the difference of sums is below 0 for some
        for count in (3, 7, 11):
            assert measured(kind(), row(*[degrees] * count))["std_deg"] < 1e-5


def test_the_median_of_two_is_between_them() -> None:
    assert measured(NormalErrors(), row(10, 50))["median_deg"] == pytest.approx(30, abs=0.0051)


@EITHER
def test_batches_do_not_matter(kind: type[Metric], faces: Batch) -> None:
    chunks = zip(*(t.split([1, 13, 0, 7]) for t in faces), strict=True)
    assert measured(kind(), *chunks) == pytest.approx(measured(kind(), faces), rel=1e-6)


@EITHER
def test_an_empty_mask_counts_nowhere(kind: type[Metric]) -> None:
    pred, target, mask = row(10, 40)
    empty = (-pred, target, torch.zeros_like(mask))
    alone = measured(kind(), row(10, 40))
    assert measured(kind(), empty, (pred, target, mask)) == alone
    group = [empty] * 8  # a whole group of the author's
    assert measured(kind(), *group, (pred, target, mask)) == alone


@EITHER
def test_empty_metric_is_nan(kind: type[Metric]) -> None:
    assert all(math.isnan(value) for value in as_floats(fresh_compute(kind())).values())
    pred, target, mask = row(10)
    only_empty = measured(kind(), (pred, target, torch.zeros_like(mask)))
    assert len(only_empty) >= 5
    assert all(math.isnan(value) for value in only_empty.values())


def fresh_compute(metric: Metric) -> dict[str, Tensor]:
    """Compute without update; torchmetrics warns, and is right to."""
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        return metric.compute()  # type: ignore[no-any-return]


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0])
def test_a_pixel_without_direction_fails_and_shows(value: float) -> None:
    pred, target, mask = row(10, 12, 14, 16, 18)
    pred = pred.clone()
    pred[0, :, 0, 0] = value
    got, author = (
        measured(NormalErrors(), (pred, target, mask)),
        measured(AuthorErrors(), (pred, target, mask)),
    )
    for name in ("mean_deg", "std_deg", "rmse_deg", "image_mean_deg", "image_std_deg"):
        assert math.isnan(got[name]), name
    assert math.isnan(author["mean_deg"])
    assert got["lt20_pct"] == author["lt20_pct"] == 80
    assert got["median_deg"] == pytest.approx(16, abs=0.0051)


def test_outside_the_mask_nothing_counts_not_even_nan() -> None:
    pred, target, mask = row(10, 30)
    mask[..., 1] = False
    broken = pred.clone()
    broken[..., 1] = math.nan
    for kind in (NormalErrors, AuthorErrors):
        assert measured(kind(), (broken, target, mask))["mean_deg"] == pytest.approx(10)


def test_the_authors_mask_is_above_point_eight() -> None:
    pred, target, _ = row(10, 20, 60)
    soft = torch.tensor([1.0, 0.81, 0.8]).view(1, 1, 1, 3)
    got = measured(AuthorErrors(), (pred, target, soft))
    assert got["mean_deg"] == pytest.approx(15)


@EITHER
def test_two_halves_merge_to_the_whole_also_when_pickled(kind: type[Metric], faces: Batch) -> None:
    first, second = kind(), kind()
    first.update(*(t[:8] for t in faces))
    second.update(*(t[8:] for t in faces))
    second = pickle.loads(pickle.dumps(second))
    second.merge_state(first)
    assert as_floats(second.compute()) == pytest.approx(measured(kind(), faces), rel=1e-6)


@EITHER
def test_reset_forgets_everything(kind: type[Metric], faces: Batch) -> None:
    metric = kind()
    metric.update(*faces)
    metric.reset()
    few = tuple(t[:3] for t in faces)
    assert measured(metric, few) == measured(kind(), few)  # type: ignore[arg-type]


def test_prefixes_name_split_and_stage() -> None:
    metric = MetricCollection(
        {"pooled": NormalErrors("t2/"), "author": AuthorErrors("t2/author_compat/")},
        prefix="test/",
    )
    metric.update(*row(10))
    names = metric.compute().keys()
    assert {"test/t2/lt22.5_pct", "test/t2/author_compat/std_deg"} <= names


def test_half_precision_around_it_does_not_round_sums() -> None:
    metric = NormalErrors()
    torch.nn.ModuleDict({"errors": metric}).half()
    pred, target, mask = row(*([7.31] * 70_000))  # 65,504 is the greatest half
    metric.update(pred, target, mask)
    assert metric.compute()["mean_deg"].item() == pytest.approx(7.31, rel=1e-4)


@EITHER
def test_shapes_that_would_broadcast_are_refused(kind: type[Metric]) -> None:
    pred, target, mask = row(10, 20)
    with pytest.raises(
        ValueError, match=r"target must have shape \(1, 3, 1, 2\), got \(1, 3, 1, 1"
    ):
        kind().update(pred, CAMERA, mask)
    with pytest.raises(ValueError, match=r"mask must have shape \(1, 1, 1, 2\), got \(1, 3, 1, 2"):
        kind().update(pred, target, mask.expand(1, 3, 1, 2))


TWO_PROCESSES = """
import sys
import torch
import torch.distributed as dist
from facegeo.normals.metrics import AuthorErrors, NormalErrors

def work(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    faces = torch.load(f"{folder}/faces.pt")
    values = []
    for metric in (NormalErrors(), AuthorErrors()):
        for part in ((0, 3), (3, 8)) if rank == 0 else ((8, 21),):
            metric.update(*(t[slice(*part)] for t in faces))
        values.append(metric.compute())
    torch.save(values, f"{folder}/{rank}.pt")
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
    for rank in (0, 1):
        pooled, author = torch.load(tmp_path / f"{rank}.pt")
        assert as_floats(pooled) == pytest.approx(measured(NormalErrors(), faces), rel=1e-6)
        assert as_floats(author) == pytest.approx(measured(AuthorErrors(), faces), rel=1e-6)
