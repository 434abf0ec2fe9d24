import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor, nn

from facegeo.geometry.crops import FaceCrops
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.evaluate import Found, find_points, mean_shape, measure, report_points
from facegeo.landmarks.nets import Crop

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
