"""Forms of the cascade for export and recording find the points that the cascade finds."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from facegeo.files.images import decode
from facegeo.files.shipped import conf_dir
from facegeo.geometry.crops import LEVELS, FaceCrops, source_regions
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.evaluate import find_points
from facegeo.landmarks.graph import CascadeGraph, StoredCascade, StoredPixels
from facegeo.landmarks.lists import read_list
from facegeo.landmarks.nets import BoxStage, Cascade, PointStage
from facegeo.predict.points import CascadePoints
from facegeo.training.recorded import Recorded

FIXTURES = Path(__file__).parents[1] / "fixtures" / "landmarks"
NEAR_PX = 1e-3
Image = npt.NDArray[np.uint8]
Data = Callable[[Path], LFPWDataModule]


def cascade(model: str, *overrides: str) -> Cascade:
    """A cascade with random weights, whose points mostly lie in the box as trained ones do."""
    torch.manual_seed(0)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("profile", [f"model={model}", *overrides])
    made: Cascade = instantiate(cfg.model).eval()
    for name, parameter in made.named_parameters():
        if name.endswith(("fc2_weight", "fc2.weight", "fc.weight")):
            parameter.data *= 0.2
        if name.endswith(("fc2_bias", "fc2.bias", "fc.bias")):
            parameter.data.fill_(0.5)
    return made


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """Opens a folder of lists."""

    def of_folder(root: Path) -> LFPWDataModule:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            places = [f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}"]
            cfg = compose("eval", ["data=lfpw", "checkpoint=none", *places])
        module: LFPWDataModule = instantiate(cfg.data)
        return module

    return of_folder


def clouds(height: int, width: int) -> Image:
    random = np.random.default_rng(0)
    noise = cv2.GaussianBlur(random.uniform(0, 255, (height, width, 3)), (0, 0), 1.5)
    return np.clip(127.5 + 4 * (noise - 127.5), 0, 255).astype(np.uint8)


@torch.inference_mode()
def of_graph(graph: CascadeGraph, image: Image, boxes: npt.ArrayLike) -> Tensor:
    found: Tensor = graph(torch.from_numpy(image), torch.tensor(boxes, dtype=torch.float64))
    return found


def largest_distance(model: Cascade, faces: LFPWDataModule) -> float:
    """Largest distance of the graph's points from the cascade's on the test list, px."""
    wanted = find_points(model, faces, "test", torch.device("cpu")).points
    listed, graph = read_list(faces.root, faces.lists["test"]), CascadeGraph(model).eval()
    worst = 0.0
    for row, box in enumerate(listed.boxes):
        found = of_graph(graph, decode(listed.path(row).read_bytes()), box[None])[0]
        low = torch.from_numpy(box[[0, 2]]).float()
        worst = max(worst, (found - low - wanted[row]).abs().max().item())
    return worst


@pytest.mark.parametrize("model", ["ccnn", "sun", "resnet"])
def test_faces_are_found_as_in_training(model: str, data: Data) -> None:
    assert largest_distance(cascade(model), data(FIXTURES)) < NEAR_PX


def test_votes_in_the_images_frame_and_of_one_net_are_fused_alike(data: Data) -> None:
    options = ("model.stages.stage1.label=image", "model.stages.stage1.fusion=last")
    assert largest_distance(cascade("ccnn", *options), data(FIXTURES)) < NEAR_PX


def test_boxes_at_and_beyond_borders_small_and_large(data: Data, tmp_path: Path) -> None:
    image = cv2.imencode(".png", clouds(311, 402))[1].tobytes()
    boxes = [
        *((-20, 40, -30, 31), (370, 430, 280, 330), (-9, 61, 250, 320), (350, 420, -30, 40)),
        *((100, 112, 90, 103), (40, 340, 10, 307), (100.5, 150.25, 60.125, 111), (0, 380, 0, 300)),
    ]
    lines = []
    for number, (left, right, top, bottom) in enumerate(boxes):
        (tmp_path / f"{number}.png").write_bytes(image)
        x, y = np.clip(((left + right) / 2, (top + bottom) / 2), 0, (401, 310))
        box = (left, right, top, bottom)
        lines.append(" ".join([f"{number}.png", *map(str, box), *(f"{x} {y}" for _ in range(5))]))
    for name in ("trainImageList.txt", "testImageList.txt"):
        (tmp_path / name).write_text("\n".join(lines))
    assert largest_distance(cascade("ccnn"), data(tmp_path)) < NEAR_PX


def test_faces_of_one_image_are_found_as_one_at_a_time() -> None:
    graph, image = CascadeGraph(cascade("ccnn")).eval(), clouds(220, 180)
    boxes = [[30.0, 90.0, 20.0, 85.0], [100, 230, 90, 210], [-10, 20, -9, 22], [5, 175, 10, 190]]
    together = of_graph(graph, image, boxes)
    alone = torch.cat([of_graph(graph, image, [box]) for box in boxes])
    assert together.shape == (4, 3, 5, 2)
    torch.testing.assert_close(together, alone, atol=NEAR_PX, rtol=0)
    assert of_graph(graph, image, np.zeros((0, 4))).shape == (0, 3, 5, 2)


def test_faces_larger_than_trained_on_are_averaged_as_the_predictor_does() -> None:
    model, image = cascade("ccnn"), clouds(1000, 1100)
    box = np.array([[50.0, 1010.0, 20.0, 930.0]])
    wanted = CascadePoints(model)([image], [box])[0]
    found = of_graph(CascadeGraph(model).eval(), image, box)
    torch.testing.assert_close(found, torch.from_numpy(wanted), atol=5e-3, rtol=0)  # 1000 px


def test_a_box_outside_the_image_finds_finite_points() -> None:
    found = of_graph(CascadeGraph(cascade("ccnn")).eval(), clouds(50, 60), [[500, 560, 400, 460]])
    assert found.isfinite().all()


def test_levels_are_those_of_the_rounded_logarithm() -> None:
    exact = 2.0 ** torch.arange(-4, 2 * LEVELS - 1)
    steps = [torch.nextafter(exact, torch.tensor(end)) for end in (0.0, torch.inf)]
    footprint = torch.cat([exact, *steps, torch.logspace(-1, 4, 500)])
    wanted = (footprint.log2() / 2).round().clamp(0, LEVELS - 1)
    level = (footprint[:, None] > CascadeGraph(cascade("ccnn")).bounds).sum(1)
    torch.testing.assert_close(level.float(), wanted)


def test_regions_have_a_margin_and_end_at_the_image() -> None:
    box = torch.tensor([[43.0, 133.0, 39.0, 129.0]], dtype=torch.float64)
    assert source_regions(box, 165, 169).tolist() == [[7, 169, 3, 165]]  # .4 * 90 is whole
    assert source_regions(box, 400, 300).tolist() == [[7, 170, 3, 166]]


def test_nets_in_half_precision_are_fed_so() -> None:
    model = cascade("ccnn")
    wanted = of_graph(CascadeGraph(model).eval(), clouds(100, 100), [[20, 80, 20, 80]])
    for stage in model.by_name().values():
        stage.bank.half()
    found = of_graph(CascadeGraph(model).eval(), clouds(100, 100), [[20, 80, 20, 80]])
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.5


@pytest.mark.parametrize(
    ("image", "boxes", "said"),
    [((3, 8, 9), (1, 4), r"image must have shape \(H, W, 3\)"), ((8, 9, 3), (4,), "boxes must")],
)
def test_other_shapes_are_refused(
    image: tuple[int, ...], boxes: tuple[int, ...], said: str
) -> None:
    graph = CascadeGraph(cascade("ccnn"))
    with pytest.raises(ValueError, match=said):
        graph(torch.zeros(image, dtype=torch.uint8), torch.zeros(boxes))


def test_an_image_of_floats_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be uint8, values to 255, got torch\.float32"):
        CascadeGraph(cascade("ccnn"))(torch.zeros(8, 9, 3), torch.zeros(1, 4))


NET = {"input_size": 15, "channels": [4, 4], "kernels": [4, 3], "hidden": 8}
NETS = {
    "F1": {"region": [0.0, 1.0, 0.0, 1.0], "points": ["LE", "RE", "N", "LM", "RM"]},
    "EN1": {"region": [0.0, 1.0, 0.0, 0.5], "points": ["LE", "RE", "N"]},
}


def small_cascade() -> Cascade:
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
    model, given = small_cascade(), inputs(faces)
    found = StoredCascade(model)(*given)
    assert found.shape == (faces, 3, 5, 2)
    torch.testing.assert_close(found, want(model, given))
    assert not torch.allclose(found[:, 1], found[:, 2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_can_be_recorded() -> None:
    model, given = small_cascade(), inputs(2)
    wanted = want(model, given)
    recorded = Recorded(StoredCascade(model.cuda()))
    with torch.backends.cudnn.flags(allow_tf32=False):
        found = recorded(*(tensor.cuda() for tensor in given))
    assert isinstance(found, Tensor)
    torch.testing.assert_close(found.cpu(), wanted, atol=1e-4, rtol=0)
