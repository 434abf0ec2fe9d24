"""The forms of Cas-FNE that are timed: equal outputs, one case a batch and number of threads."""

import pytest
import torch

from facegeo.bench import generator
from facegeo.bench.timing import Timing
from facegeo.normals.generator import CasFNE

ONCE = Timing(seconds=0, least=1, warm_up=0)
FORMS = ["published, eager", "fast form"]


@pytest.fixture
def model() -> CasFNE:
    torch.manual_seed(0)
    return CasFNE(1).eval()


def test_all_forms_agree(model: CasFNE, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "has_onnx", lambda: False)
    names = [
        (case.name, case.threads) for case in generator.cpu_cases(model, 32, [1], [1, 2], False)
    ]
    assert names == [("1 image, 1 thread", 1), ("1 image, 2 threads", 2)]
    cases = list(generator.cpu_cases(model, 32, [1, 2], [1], compiled=False))
    assert [case.name for case in cases] == ["1 image, 1 thread", "2 images, 1 thread"]
    for case, images in zip(cases, (1, 2), strict=True):
        rows = case.measure(ONCE)
        assert [row.name for row in rows] == FORMS
        assert {row.items for row in rows} == {images}
        assert all(row.differs is not None and row.differs < 1e-4 for row in rows[1:])


@pytest.mark.slow
def test_onnx_runtime_agrees(model: CasFNE) -> None:
    pytest.importorskip("onnxruntime")
    (case,) = generator.cpu_cases(model, 32, [2], [1], compiled=False)
    rows = case.measure(ONCE)
    names = ["published, ONNX Runtime", "fast form, ONNX Runtime"]
    assert [row.name for row in rows] == [*FORMS, *names]
    assert all(row.differs is not None and row.differs < 1e-4 for row in rows[1:])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_forms_on_a_gpu_agree(model: CasFNE) -> None:
    with torch.backends.cudnn.flags(allow_tf32=False):
        (case,) = generator.cuda_cases(model, 32, [2])
        rows = case.measure(ONCE)
    assert all(row.differs is None or row.differs < 1e-4 for row in rows)
    assert [row.differs is None for row in rows] == [True, False, False, True, True]
