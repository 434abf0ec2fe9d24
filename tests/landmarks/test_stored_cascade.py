"""The cascade with everything among its inputs finds what the cascade finds."""

import pytest
import torch
from torch import Tensor

from facegeo.geometry.crops import FaceCrops
from facegeo.landmarks.graph import StoredCascade, StoredPixels
from facegeo.landmarks.nets import BoxStage, Cascade, PointStage
from facegeo.training.recorded import Recorded

NET = {"input_size": 15, "channels": [4, 4], "kernels": [4, 3], "hidden": 8}
NETS = {
    "F1": {"region": [0.0, 1.0, 0.0, 1.0], "points": ["LE", "RE", "N", "LM", "RM"]},
    "EN1": {"region": [0.0, 1.0, 0.0, 0.5], "points": ["LE", "RE", "N"]},
}


def cascade() -> Cascade:
    torch.manual_seed(0)
    stages = {
        "stage1": BoxStage(NETS, NET, fusion="first"),
        "stage2": PointStage([0.16, 0.18], NET, label="image"),
        "stage3": PointStage([0.08], NET),
    }
    return Cascade(stages).eval().requires_grad_(False)


def inputs(faces: int) -> tuple[Tensor, ...]:
    """Faces of 40 x 60 px on two levels, pixels that nobody uses behind them."""
    random = torch.Generator().manual_seed(1)
    sizes = torch.tensor([[40, 60], [20, 30]])
    lengths = sizes.prod(1).repeat(faces)
    pixels = torch.randint(0, 2**24, (int(lengths.sum()) + 99,), generator=random).int()
    offset = (lengths.cumsum(0) - lengths).view(faces, 2)
    frames = torch.tensor([[30.0, 0.0, 15.0], [0.0, 30.0, 4.0]]).expand(faces, 2, 3)
    canvas = torch.tensor([[0.5, 0.4, 1.0, 0.7]]).expand(faces, 4)
    origin = torch.zeros(faces, 2, dtype=torch.long)
    size, rows = sizes.expand(faces, 2, 2), torch.arange(faces).flip(0)
    return pixels, offset, size, origin, rows, frames, canvas


def want(model: Cascade, given: tuple[Tensor, ...]) -> Tensor:
    found: Tensor = model(FaceCrops(StoredPixels(*given[:4]), *given[4:6]), given[6])
    return found


@pytest.mark.parametrize("faces", [1, 3])
def test_points_of_every_stage_are_equal(faces: int) -> None:
    model, given = cascade(), inputs(faces)
    found = StoredCascade(model)(*given)
    assert found.shape == (faces, 3, 5, 2)
    torch.testing.assert_close(found, want(model, given))
    assert not torch.allclose(found[:, 1], found[:, 2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_can_be_recorded() -> None:
    model, given = cascade(), inputs(2)
    wanted = want(model, given)
    recorded = Recorded(StoredCascade(model.cuda()))
    with torch.backends.cudnn.flags(allow_tf32=False):
        found = recorded(*(tensor.cuda() for tensor in given))
    assert isinstance(found, Tensor)
    torch.testing.assert_close(found.cpu(), wanted, atol=1e-4, rtol=0)
