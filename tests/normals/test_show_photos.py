from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from facegeo.errors import UserError
from facegeo.geometry.light import to_linear
from facegeo.landmarks.nets import Cascade
from facegeo.normals.evaluate import show_photos
from facegeo.normals.generator import CasFNE
from facegeo.normals.photos import PhotoFolder

FACE_PX, REST_PX, TILE_PX = 128 + 4, 52, 128 + 4  # of a picture without notes


class Flat(nn.Module):
    """t + 1 stages of normals to the camera; keeps the photos."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, image: Tensor, t: int = 1) -> tuple[Tensor, ...]:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.shown.append(image)
        return (torch.tensor([0.0, 0.0, 1.0])[:, None, None].expand_as(image),) * (t + 1)


@pytest.fixture
def photos(tmp_path: Path) -> PhotoFolder:
    """Eight grey photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        pixels = np.full((40, 40, 3), 30 * number, np.uint8)
        (folder / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return PhotoFolder(folder, 32)


def faces(folder: Path) -> dict[str, float]:
    """Rows of every page."""
    pages = sorted(folder.glob("*.png"))
    return {page.name: (cv2.imread(str(page)).shape[0] - REST_PX) / FACE_PX for page in pages}


def test_the_first_page_is_drawn(photos: PhotoFolder, tmp_path: Path) -> None:
    assert show_photos(Flat().train(), photos, tmp_path) == {}
    assert faces(tmp_path) == {"photos_0000.png": 6}


def test_or_all_pages_with_every_photo_once(
    photos: PhotoFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Flat()
    show_photos(model, photos, tmp_path, panels=True)
    assert faces(tmp_path) == {"photos_0000.png": 6, "photos_0001.png": 2}
    greys = torch.cat(model.shown).mean(dim=(1, 2, 3))
    torch.testing.assert_close(greys, 30 * torch.arange(8) / 255)
    assert f"Pictures: {tmp_path}" in capsys.readouterr().out.replace("\n", "")


def test_a_model_of_linear_photos_is_shown_them_so_and_they_are_drawn_as_they_are(
    photos: PhotoFolder, tmp_path: Path
) -> None:
    pictures, model = [], Flat()
    for coding in ("linear", None):
        show_photos(model, photos, tmp_path, coding=coding)
        pictures.append((tmp_path / "photos_0000.png").read_bytes())
    torch.testing.assert_close(model.shown[0], to_linear(model.shown[1]))
    assert pictures[0] == pictures[1]


def test_a_stage_more_is_a_column_of_normals_and_one_of_shading_more(
    photos: PhotoFolder, tmp_path: Path
) -> None:
    widths = []
    for t in (0, 3):
        show_photos(Flat(), photos, tmp_path, t=t)
        widths.append(cv2.imread(str(tmp_path / "photos_0000.png")).shape[1])
    assert widths[1] - widths[0] == 3 * 2 * TILE_PX


def test_refinements_of_a_model_without_a_block_are_refused(
    photos: PhotoFolder, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"refuses t or data.size: .*it has no cascaded block"):
        show_photos(CasFNE(t=0), photos, tmp_path, t=1)


def test_a_model_of_points_is_refused(photos: PhotoFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ask for normals and the model finds points"):
        show_photos(Cascade({}), photos, tmp_path)
