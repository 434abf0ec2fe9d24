"""Measuring a cascade: points found, errors, their tables and their causes."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor, nn

from facegeo.geometry.crops import FaceCrops
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.evaluate import (
    Found,
    find_points,
    keep_errors,
    label_noise,
    mean_shape,
    measure,
    report_points,
    window_misses,
)
from facegeo.landmarks.nets import Cascade, Crop
from facegeo.landmarks.tables import stage_table

Compose = Callable[..., DictConfig]
GUESSES = torch.tensor([[[0.5, 0.4]] * 5, [[0.25, 0.75]] * 5])  # two stages, box frame


class Guess(nn.Module):
    """A cascade of two stages that answers the same for every face, and looks at each."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.modes: list[bool] = []

    def by_name(self) -> dict[str, nn.Module]:
        return {}

    def forward(self, crop: Crop, canvas: Tensor) -> Tensor:
        assert isinstance(crop, FaceCrops)
        self.seen.append(crop.faces)
        self.modes.append(self.training)
        return GUESSES.expand(len(canvas), -1, -1, -1)


def truth(root: Path, name: str) -> tuple[Tensor, Tensor]:
    """Points relative to the box's corner and sides of the boxes, px, straight from a list."""
    lines = (root / name).read_text().splitlines()
    numbers = torch.tensor([[float(v) for v in line.split()[1:]] for line in lines])
    low, high = numbers[:, 0:4:2], numbers[:, 1:4:2]
    return numbers[:, 4:].view(-1, 5, 2) - low[:, None], high - low


@pytest.fixture
def data(tiny_config: Compose) -> LFPWDataModule:
    module: LFPWDataModule = instantiate(tiny_config("data.eval_batch_size=3").data)
    return module


def test_points_of_every_test_face_in_the_order_of_the_list(
    data: LFPWDataModule, tiny_faces: Path
) -> None:
    guess = Guess()
    found = find_points(guess, data, "test", torch.device("cpu"))  # type: ignore[arg-type]
    points, sides = truth(tiny_faces, "testImageList.txt")
    torch.testing.assert_close(found.target, points, atol=1e-4, rtol=0)  # float32 at 60 px
    torch.testing.assert_close(found.size, sides, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.points, GUESSES * found.size[:, None, None])
    assert found.rows.tolist() == list(range(8))
    assert [len(faces) for faces in guess.seen] == [3, 3, 2]
    assert not any(guess.modes)


def test_validation_faces_are_the_held_out_rows(data: LFPWDataModule) -> None:
    found = find_points(Guess(), data, "val", torch.device("cpu"))  # type: ignore[arg-type]
    assert found.rows.tolist() == data.split()[1].tolist()
    assert len(found.rows) == 6


def test_errors_of_stages_and_mean_shape_by_hand() -> None:
    target = torch.zeros(2, 5, 2)
    points = torch.zeros(2, 2, 5, 2)
    points[0, 0, :, 0] = 4.0  # 10 % of 40 px
    points[1, 0, :, 1] = 1.0  # 5 % of 20 px
    points[1, 1, 2] = torch.tensor([3.0, 4.0])  # 25 % of 20 px, one point of five
    found = Found(points, target, torch.tensor([[40.0, 80.0], [20.0, 10.0]]), torch.arange(2))
    shape = torch.tensor([0.0, 0.1]).expand(5, 2)  # 8 of 40 px and 1 of 20 px off
    measured = measure(found, "test", shape)
    values = {k: v.item() for metric in measured.values() for k, v in metric.compute().items()}
    assert values["test/stage1/error_pct"] == pytest.approx(7.5)
    assert values["test/stage2/error_N_pct"] == pytest.approx(12.5)
    assert values["test/stage2/error_pct"] == pytest.approx(2.5)
    assert values["test/mean_shape/error_pct"] == pytest.approx(12.5)
    assert list(measure(found, "test")) == ["stage1", "stage2"]


def test_mean_shape_does_not_use_the_held_out_faces(data: LFPWDataModule, tiny_faces: Path) -> None:
    points, sides = truth(tiny_faces, "trainImageList.txt")
    train = torch.from_numpy(data.split()[0])
    wanted = (points / sides[:, None])[train].mean(dim=0)
    torch.testing.assert_close(mean_shape(data), wanted, atol=1e-5, rtol=0)


def test_twins_are_reported_when_the_test_faces_are_measured(
    tiny_config: Compose, tiny_faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "faces"
    root.mkdir()
    for file in tiny_faces.iterdir():
        (root / file.name).write_bytes(file.read_bytes())
    (root / "30.png").write_bytes((root / "4.png").read_bytes())
    box = (root / "trainImageList.txt").read_text().splitlines()[4].split(maxsplit=1)[1]
    lines = (root / "testImageList.txt").read_text().splitlines()
    lines[6] = f"30.png {box}"
    (root / "testImageList.txt").write_text("\n".join(lines))
    cfg = tiny_config(f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}")
    data = instantiate(cfg.data)
    held_out = report_points(instantiate(cfg.model), data, tmp_path, ["val"])
    assert "byte-identical" not in capsys.readouterr().out
    results = report_points(instantiate(cfg.model), data, tmp_path, ["test"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Test image 30.png is byte-identical to training image 4.png" in said
    assert json.loads((tmp_path / "metrics.json").read_text()) == held_out | results


def test_a_point_outside_its_window_is_counted_for_that_windows_stage(
    tiny_config: Compose,
) -> None:
    cascade: Cascade = instantiate(tiny_config().model)
    # One face, box of 100 x 200 px, truth in the middle. Stage 1 is off by 17 % of the box in x
    # for the left eye alone: outside the window of half size .16, inside that of .18.
    target = torch.tensor([[[50.0, 100.0]] * 5])
    found = target[:, None].repeat(1, 3, 1, 1)
    found[0, 0, 0, 0] += 17.0
    misses = window_misses(
        cascade, Found(found, target, torch.tensor([[100.0, 200.0]]), torch.tensor([0])), "val"
    )
    assert misses == pytest.approx(
        {"val/stage1/outside_pct": 0.0, "val/stage2/outside_pct": 10.0, "val/stage3/outside_pct": 0}
    )


def test_label_noise_is_the_distance_between_labels_of_one_photograph(
    tiny_config: Compose, tiny_faces: Path, tmp_path: Path
) -> None:
    assert len(label_noise(instantiate(tiny_config().data))) == 0  # no copies
    for file in tiny_faces.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    # A copy of the first training image in the test list, all points 3 px further right.
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    _, *numbers = (tmp_path / "trainImageList.txt").read_text().splitlines()[0].split()
    box, points = [float(v) for v in numbers[:4]], [float(v) for v in numbers[4:]]
    moved = [v + 3.0 * (i % 2 == 0) for i, v in enumerate(points)]
    line = " ".join(["copy.png", *(f"{v:.3f}" for v in (*box, *moved))])
    with (tmp_path / "testImageList.txt").open("a") as file:
        file.write(f"\n{line}")
    noise = label_noise(instantiate(tiny_config(f"data.root={tmp_path}").data))
    torch.testing.assert_close(noise, torch.tensor([3.0 / (box[1] - box[0])]), rtol=1e-3, atol=0)


def test_the_mean_error_of_each_image_is_kept_by_stage(tmp_path: Path) -> None:
    target = torch.zeros(2, 5, 2)
    found = torch.zeros(2, 2, 5, 2)
    found[0, 0, :, 0] = 3.0  # 3 px of 100: 3 %
    found[1, 0, 0, 1] = 10.0  # 10 px of 200 at one point of five: 1 %
    found[1, 1] = torch.nan
    size = torch.tensor([[100.0, 50.0], [200.0, 50.0]])
    keep_errors(tmp_path / "test_errors.npz", Found(found, target, size, torch.arange(2)))
    with np.load(tmp_path / "test_errors.npz") as kept:
        assert kept["stage1"].dtype == np.float32
        np.testing.assert_allclose(kept["stage1"], [3.0, 1.0])
        np.testing.assert_equal(kept["stage2"], np.array([0.0, np.nan], np.float32))


POINTS = ("LE", "RE", "N", "LM", "RM")


def stage(prefix: str, error: float) -> dict[str, float]:
    """Every quantity of one stage, each a different number."""
    points = {f"{prefix}error_{p}_pct": error + i / 100 for i, p in enumerate(POINTS, 1)}
    rest = {"error_pct": error, "fail5_pct": 20.0, "fail10_pct": 3.0, "auc10": 0.8125}
    return points | {prefix + name: value for name, value in rest.items()}


def test_stage_table_has_a_row_a_stage_in_their_order_under_the_mean_shape() -> None:
    results = stage("test/stage10/", 1.0) | stage("test/stage2/", 1.5) | stage("test/stage1/", 2.0)
    results |= stage("test/mean_shape/", 8.0) | stage("val/stage4/", 9.0) | {"test/loss": 0.1}
    table = stage_table(results)
    assert [row[0] for row in table.rows] == ["mean shape", "stage 1", "stage 2", "stage 10"]
    assert table.rows[1][1:] == (2.01, 2.02, 2.03, 2.04, 2.05, 2.0, 20.0, 3.0, 0.8125)


def test_stage_table_without_a_baseline_and_with_gaps() -> None:
    table = stage_table({"val/stage1/error_pct": 2.0}, split="val", title="Quick look")
    assert table.rows == (("stage 1", None, None, None, None, None, 2.0, None, None, None),)
    assert table.title == "Quick look"
    assert "face box width" in table.note


def test_stage_table_fits_eighty_columns() -> None:
    results = stage("test/mean_shape/", 10.5) | stage("test/stage1/", 12.0)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(stage_table(results).rich())
    assert "…" not in console.export_text()


def test_stage_table_of_a_split_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no name like test/stage1/error_pct among 9 results"):
        stage_table(stage("val/stage1/", 2.0))
