"""A predictor of the released cascade, generated faces, and photos and videos made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from facegeo.normals.baselines import CARN
from facegeo.predict.boxes import BoxFile
from facegeo.predict.detectors import Detect
from facegeo.predict.job import Summary, predict_files
from facegeo.predict.photo import Image, read_photo
from facegeo.predict.points import FindPoints, load_points
from facegeo.predict.predictor import FindNormals, Predictor
from facegeo.predict.results import Settings
from facegeo.training.model_file import MODEL, save_model

FACES = Path("tests/fixtures/landmarks").resolve()


@pytest.fixture(scope="session")
def find_points() -> FindPoints:
    return load_points("ccnn-lfpw", "cpu")


@pytest.fixture(scope="session")
def predictor(find_points: FindPoints) -> Predictor:
    """Pictures for boxes in the fixture's own list."""
    return Predictor(find_points, BoxFile(str(FACES / "testImageList.txt")))


@pytest.fixture(scope="session")
def face() -> Image:
    """A generated face, RGB, 96 x 96."""
    return read_photo(FACES / "test/000000.jpg")


@pytest.fixture(scope="session")
def film() -> Callable[..., Path]:
    """Write frames, RGB, as a video of Motion JPEG, 25 a second."""

    def write(path: Path, frames: list[Image]) -> Path:
        height, width = frames[0].shape[:2]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (width, height))
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
        return path

    return write


@pytest.fixture(scope="session")
def save() -> Callable[[Path, Image], Path]:
    """Write an RGB image by the ending of its name."""

    def write(path: Path, image: Image) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return path

    return write


@pytest.fixture
def predict(tmp_path: Path, find_points: FindPoints) -> Callable[..., Summary]:
    """Predict "in" of the test's folder, or a file of it, into its "out"."""

    def run(
        detect: Detect, wanted: str = "in", normals: FindNormals | None = None, **settings: Any
    ) -> Summary:
        predictor = Predictor(find_points, detect, normals)
        return predict_files(
            str(tmp_path / wanted), tmp_path / "out", predictor, Settings(**settings)
        )

    return run


@pytest.fixture(scope="session")
def small_normals() -> Callable[..., Path]:
    """Make a run's folder with an untrained generator of normals for faces of 32 px."""

    def make(folder: Path, **notes: str) -> Path:
        config = {"_target_": "facegeo.normals.baselines.CARN", "width": 4}
        model = CARN(width=4)
        save_model(folder / MODEL, model, config, {"size": 32} | notes)
        return folder

    return make
