"""Points for the preparation of people, and the cache of what was prepared."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facegeo.errors import UserError
from facegeo.normals.people import read_people
from facegeo.predict.people import FaceFinder, ensure_people, is_prepared, with_forehead
from facegeo.predict.photo import Image
from facegeo.rendering.studio import Studio

FRONTAL = np.array([[35, 47], [131, 47], [83, 95], [46, 152], [120, 152]], dtype=np.float32)
"""Mean points of the cropped Extended Yale B, px."""


def test_a_face_that_fills_the_picture_is_found() -> None:
    sample = Studio("anny").photograph((11, 0, 0), 256)
    eyes = np.linalg.norm(sample.points[1] - sample.points[0])
    scale = 96 / eyes  # as far apart as in the database
    left, top = sample.points[:2].mean(0) - np.array([83, 47]) / scale
    x, y = np.meshgrid(np.arange(168) / scale + left, np.arange(192) / scale + top)
    rows = np.clip(np.rint(y), 0, 255).astype(int)
    columns = np.clip(np.rint(x), 0, 255).astype(int)
    picture: Image = sample.image[rows, columns]
    points, outline = FaceFinder()([picture, picture])
    wanted = (sample.points - [left, top]) * scale
    # Ten per cent of the distance of the eyes: a generated face, enlarged.
    assert np.linalg.norm(points - wanted, axis=1).mean() < 0.1 * 96
    assert outline[:, 1].min() < points[:2, 1].mean() < points[3:, 1].mean() < outline[:, 1].max()


def test_the_outline_reaches_above_the_brows_to_the_hairline() -> None:
    outline = with_forehead(FRONTAL)
    assert outline[:, 1].min() == pytest.approx(-35, abs=15)  # above the crop's border
    assert outline[:, 1].max() == pytest.approx(205, abs=15)  # the chin, which the crop cuts off
    assert outline[:, 0].mean() == pytest.approx(83, abs=3)


def test_people_are_prepared_once(sculptures: SimpleNamespace, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    for name in sculptures.names[:2]:
        shutil.copytree(sculptures.root / "CroppedYale" / name, root / "CroppedYale" / name)
    folder = ensure_people(str(root), str(tmp_path / "cache"))
    record = folder / "yaleB01" / "prepared.json"
    made = record.stat().st_mtime_ns
    assert is_prepared(folder)
    assert read_people(folder).names == ["yaleB01", "yaleB02"]
    assert ensure_people(str(root), str(tmp_path / "cache")) == folder
    assert record.stat().st_mtime_ns == made
    assert ensure_people(str(folder), str(tmp_path / "other")) == folder  # as it is
    photo = next((root / "CroppedYale" / "yaleB01").glob("*.pgm"))
    photo.rename(photo.with_suffix(".pgm.bad"))
    assert ensure_people(str(root), str(tmp_path / "cache")) != folder


def test_unfinished_and_strange_folders_are_not_prepared_people(tmp_path: Path) -> None:
    assert not is_prepared(tmp_path)
    for manifest in ({"complete": False, "prepared": {"layout": "yaleb"}}, {"complete": True}):
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        assert not is_prepared(tmp_path)
    with pytest.raises(UserError, match="must be CroppedYale or hold it"):
        ensure_people(str(tmp_path), str(tmp_path / "cache"))
