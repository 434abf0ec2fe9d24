from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from facegeo.landmarks.evaluate import Found, label_noise, window_misses
from facegeo.landmarks.nets import Cascade

Compose = Callable[..., DictConfig]


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


def test_without_copies_there_is_no_noise_to_report(tiny_config: Compose) -> None:
    assert len(label_noise(instantiate(tiny_config().data))) == 0
