"""Exported files in the places of trained models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from facegeo.errors import UserError
from facegeo.landmarks.nets import Cascade
from facegeo.predict.normals import load_normals
from facegeo.predict.photo import Image
from facegeo.predict.points import FindPoints, load_points
from facegeo.predict.predictor import load
from facegeo.training.model_file import load_model

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow  # an export takes ten seconds


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from facegeo.export.programs import cascade_metadata, cascade_program, onnx_bytes

    model, notes = load_model("ccnn-lfpw")
    assert isinstance(model, Cascade)
    path = tmp_path_factory.mktemp("exported") / "points.onnx"
    metadata = cascade_metadata("fp32", notes, path)
    path.write_bytes(onnx_bytes(cascade_program(model), ["image", "boxes"], ["points"], metadata))
    return path


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
    from facegeo.export.programs import normals_metadata, normals_program, onnx_bytes

    run = small_normals(tmp_path / "run", coding="linear")
    model, notes = load_model(run)
    faces = torch.rand(2, 3, 32, 32)
    for size in (None, 32):
        path = tmp_path / f"normals{size}.onnx"
        metadata = normals_metadata("fp32", notes, path, 0, size)
        program = normals_program(model, 0, size, half=False)
        path.write_bytes(onnx_bytes(program, ["images"], ["normals_0"], metadata))
        loaded = load_normals(path, "cpu")
        assert (loaded.size, loaded.coding) == (32, "linear")
        with torch.inference_mode():
            torch.testing.assert_close(
                loaded.generate(faces)[-1], model(faces)[-1], atol=1e-4, rtol=0
            )
