"""Generators of normals in ONNX."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegeo.export.onnx_model import OnnxNormals
from facegeo.export.parity import normals_difference
from facegeo.export.programs import normals_metadata, normals_program
from facegeo.normals.baselines import CARN
from facegeo.normals.generator import CasFNE


def written(
    path: Path, generator: torch.nn.Module, t: int, size: int | None, half: bool = False
) -> OnnxNormals:
    pytest.importorskip("onnxscript", reason="exports need the extra 'export'")
    pytest.importorskip("onnxruntime", reason="exports need the extra 'export'")
    from facegeo.export.programs import onnx_bytes

    program = normals_program(generator, t, size, half)
    names = [f"normals_{i}" for i in range(t + 1)]
    texts = normals_metadata("fp16" if half else "fp32", {}, path.with_suffix(".md"), t, size)
    path.write_bytes(onnx_bytes(program, ["images"], names, texts))
    return OnnxNormals(path)


def images(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_normals_of_any_size_and_number(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = CARN(width=4).eval()
    exported = written(tmp_path / "a.onnx", generator, 0, None)
    for shape in ((1, 32, 64), (3, 96, 32)):
        with torch.no_grad():
            wanted = generator(images(*shape))
        (got,) = exported(images(*shape).numpy())
        np.testing.assert_allclose(got, wanted[0].numpy(), atol=1e-5)
    assert exported.metadata["frame"] == "x right, y up, z to the camera"
    assert exported.metadata["card"] == "none"


def test_half_precision_is_near_and_answers_in_single(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = CARN(width=4).eval()
    exported = written(tmp_path / "a.onnx", generator, 0, 64, half=True)
    (got,) = exported(images(2, 64, 64).numpy())
    assert got.dtype == np.float32
    apart = normals_difference(generator, 0, exported, "noise", images(2, 64, 64).numpy())
    assert 0 < apart.mean < 0.2


def test_a_file_says_how_its_photos_are_coded(tmp_path: Path) -> None:
    for notes, coding in (({"coding": "linear"}, "linear"), ({"data": "Photoface"}, "unknown")):
        metadata = normals_metadata("fp32", notes, tmp_path / "no.md", 0, None)
        assert metadata["coding"].startswith(coding)


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, None])
def test_cas_fne_with_its_refinements(size: int | None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator = CasFNE(1).eval()
    exported = written(tmp_path / "a.onnx", generator, 2, size)
    assert len(exported(images(1, 64, 64).numpy())) == 3
    apart = normals_difference(generator, 2, exported, "noise", images(2, 64, 64).numpy())
    assert apart.worst < 1e-4
