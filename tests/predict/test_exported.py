"""Exported files in the places of trained models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from facegeo.errors import UserError
from facegeo.export.programs import file_metadata, onnx_bytes
from facegeo.landmarks.nets import Cascade
from facegeo.normals.export import NormalsModel
from facegeo.predict.normals import load_normals
from facegeo.predict.photo import Image
from facegeo.predict.points import FindPoints, load_points
from facegeo.predict.predictor import load
from facegeo.training.model_file import load_model

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow  # an export takes ten seconds


def written(checkpoint: str | Path, path: Path, size: int | None = None) -> Path:
    model, notes = load_model(checkpoint)
    assert isinstance(model, Cascade | NormalsModel)
    form = model.export_form("fp32", notes, size=size)
    texts = file_metadata(form, "fp32", notes, path)
    path.write_bytes(onnx_bytes(form.program(), form.inputs, form.outputs, texts))
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written("ccnn-lfpw", tmp_path_factory.mktemp("exported") / "points.onnx")


def test_an_exported_cascade_finds_the_same_points(
    exported: Path, find_points: FindPoints, face: Image
) -> None:
    large = face.repeat(12, axis=0).repeat(12, axis=1)
    boxes = np.array([[20.0, 72, 22, 74], [25, 70, 24, 69]])
    images, places = [face, large, face], [boxes, boxes[:1] * 12, boxes[:0]]
    found = load_points(exported, "cpu")(images, places)
    for got, wanted in zip(found, find_points(images, places), strict=True):
        assert len(got) == len(wanted)
        np.testing.assert_allclose(got, wanted[:, : got.shape[1]], atol=0.02)
    (alone,) = load(exported)(face, boxes[0])
    np.testing.assert_allclose(alone.points, found[0][0, -1], atol=1e-3)


def test_one_kind_is_not_taken_for_the_other(exported: Path) -> None:
    with pytest.raises(UserError, match=r"points\.onnx: wanted a file of format"):
        load_normals(exported, "cpu")


def test_an_exported_generator_knows_its_size_and_coding(
    tmp_path: Path, small_normals: Callable[..., Path]
) -> None:
    run = small_normals(tmp_path / "run", coding="linear")
    model, _ = load_model(run)
    faces = torch.rand(2, 3, 32, 32)
    for size in (None, 32):
        loaded = load_normals(written(run, tmp_path / f"normals{size}.onnx", size), "cpu")
        assert (loaded.size, loaded.coding) == (32, "linear")
        with torch.inference_mode():
            torch.testing.assert_close(
                loaded.generate(faces)[-1], model(faces)[-1], atol=1e-4, rtol=0
            )
