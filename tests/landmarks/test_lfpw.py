import logging
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from lightning import Trainer
from torch import Tensor

from facegeo.errors import UserError
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.nets import BoxStage, Cascade, PointStage, Stage
from facegeo.landmarks.views import Augment, FaceViews

Writer = Callable[..., Path]
MEAN = np.array([[0.27, 0.26], [0.74, 0.25], [0.5, 0.54], [0.31, 0.77], [0.71, 0.76]])
# A point's own color; none lights up in the color of another, see ``_brightness``.
COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=float)
MIRRORED = (1, 0, 2, 4, 3)  # which dot a mirrored face has under each label
PAPER = Augment(views=6, rotations_deg=(0, 15, -12), flip=0.5, shake_sigma=0.01)
RICH = Augment(
    views=12,
    rotations_deg=(0, 15, -12),
    rotation_spread_deg=10,
    flip=0.5,
    scale_spread=0.15,
    shift_sigma=0.03,
    shake_sigma=0.01,
)
TINY = {"channels": [2, 2], "kernels": [4, 3], "hidden": 3}
# left, top, width, height of the boxes; image sizes follow. The last two leave their image.
DOTTED = [
    (20.3, 18.6, 30, 30),
    (25, 31.5, 62, 70),
    (80, 70.25, 140, 120),
    (160, 150, 300, 340),
    (-9, -6, 90, 90),
    (33, 40, 80, 64),
]
CUT = {5: (105, 98)}  # width and height of an image that ends within the box


def stage1() -> Stage:
    names = ["LE", "RE", "N", "LM", "RM"]
    nets = {
        "F1": {"region": [-0.05, 1.05, -0.05, 1.05], "points": names},
        "EN1": {"region": [-0.05, 1.05, -0.04, 0.84], "points": names[:3]},
        "NM1": {"region": [-0.05, 1.05, 0.18, 1.05], "points": names[2:]},
    }
    return BoxStage(nets, {"input_size": 39, **TINY})


def later_stage(*sizes: float) -> Stage:
    return PointStage(sizes, {"input_size": 15, **TINY})


def module(root: Path, tmp_path: Path, augment: Augment = PAPER, **options: Any) -> LFPWDataModule:
    options = {"val_fraction": 0.0, "batch_size": 6} | options
    data = LFPWDataModule(str(root), str(tmp_path / "cache"), augment, **options)
    data.trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    return data


def batches(data: LFPWDataModule, stage: Stage, count: int) -> list[dict[str, Tensor]]:
    """What the training of a stage gets, box frame points included."""
    data.for_stage(stage, None, count)
    return [dict(data.on_after_batch_transfer(batch, 0)) for batch in data.train_dataloader()]


def _write_list(root: Path, name: str, lines: list[tuple[str, Any, Any]]) -> None:
    text = (
        " ".join([path, *(repr(float(v)) for v in (*box, *np.ravel(points)))])
        for path, box, points in lines
    )
    (root / name).write_text("\r\n".join(text) + "\r\n")


def _dots(points: npt.NDArray[np.float64], sigma: float, width: int, height: int) -> bytes:
    rows, columns = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3))
    for (x, y), colour in zip(points, COLOURS, strict=True):
        blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
        image = np.maximum(image, blob[..., None] * colour)
    rgb = np.round(255 * image).astype(np.uint8)
    return bytes(cv2.imencode(".png", rgb[..., ::-1])[1])


@pytest.fixture(scope="module")
def dotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of many sizes, each a dot at every point on black."""
    root = tmp_path_factory.mktemp("dotted")
    random = np.random.default_rng(0)
    lines = []
    for number, (left, top, w, h) in enumerate(DOTTED):
        points = (MEAN + random.normal(0, 0.02, (5, 2))) * (w, h) + (left, top)
        width, height = CUT.get(number, (int(left + 1.6 * w), int(top + 1.6 * h)))
        image = _dots(points, max(0.018 * w, 0.7), width, height)
        (root / f"{number}.png").write_bytes(image)
        lines.append((f"{number}.png", (left, left + w, top, top + h), points))
    _write_list(root, "trainImageList.txt", lines)
    return root


def _brightness(crop: Tensor, point: int) -> npt.NDArray[np.float64]:
    """How much of a point's color each pixel has, (S, S), from (3, S, S)."""
    channels, on = crop.double().numpy(), COLOURS[point] > 0
    return np.clip(channels[on].min(axis=0) - channels[~on].max(axis=0), 0, None)


def _centroid(crop: Tensor, point: int, near: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Centre of a dot in px of the crop, found from ``near`` by mean shift: no bias to it."""
    light = _brightness(crop, point)
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    place = near
    for _ in range(20):
        weight = light * ((columns - place[0]) ** 2 + (rows - place[1]) ** 2 < 3.5**2)
        assert weight.sum() > 0.2, f"no dot of point {point} near {near}"
        place = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    return place


@pytest.mark.parametrize(
    "stage",
    [stage1(), later_stage(0.16, 0.18), later_stage(0.08, 0.09)],
    ids=["stage1", "stage2", "stage3"],
)
@pytest.mark.parametrize("augment", [PAPER, RICH], ids=["paper", "rich"])
def test_the_dot_is_under_the_label(
    dotted: Path, tmp_path: Path, stage: Stage, augment: Augment
) -> None:
    data = module(dotted, tmp_path, augment, batch_size=len(DOTTED))
    data.for_stage(stage, None, 6)
    misses = []
    for raw in data.train_dataloader():
        flipped = torch.linalg.det(raw["frame"][:, :, :2]) < 0
        batch = data.on_after_batch_transfer(raw, 0)
        places = stage.targets(batch["points"], batch["frame"]) * stage.input_size - 0.5
        for face in range(len(places)):
            for vote, net in enumerate(stage.vote_net.tolist()):
                wanted = places[face, vote].double().numpy()
                point = int(stage.vote_point[vote])
                dot = MIRRORED[point] if flipped[face] else point
                found = _centroid(batch["image"][face, net], dot, wanted)
                misses.append(np.hypot(*(found - wanted)))
    assert len(misses) == 6 * len(DOTTED) * len(stage.vote_net)
    assert max(misses) < 0.5
    assert np.mean(misses) < 0.1


def test_the_dotted_faces_use_every_level(dotted: Path, tmp_path: Path) -> None:
    assert module(dotted, tmp_path).faces("train").store.offset.shape == (len(DOTTED), 4)
    # px of the image a sample of F1's crop: 1.1 boxes over 39 samples, mean of both sides
    steps = [1.1 * math.sqrt(w * h) / 39 for _, _, w, h in DOTTED]
    assert {round(math.log2(step)) for step in steps} >= {0, 1, 2, 3}


def test_flipped_labels_are_in_mirror_order(dotted: Path, tmp_path: Path) -> None:
    both = Augment(views=2, flip=0.5)
    data = module(dotted, tmp_path, both)
    views = data.views("train", both)
    rows = torch.arange(len(DOTTED))
    first, second = (views.batch(torch.full_like(rows, e), rows)["points"] for e in (0, 1))
    mirrored = torch.stack([1 - first[..., 0], first[..., 1]], dim=-1)[:, MIRRORED]
    torch.testing.assert_close(second, mirrored)
    assert (first[:, 0, 0] < first[:, 1, 0]).all()  # the left eye stays on the left


@pytest.fixture
def root(face_folder: Writer) -> Path:
    """Twenty training and four test faces of one color each."""
    root = face_folder([f"{number}.png" for number in range(24)], "all.txt")
    lines = (root / "all.txt").read_text().splitlines()
    (root / "trainImageList.txt").write_text("\n".join(lines[:20]))
    (root / "testImageList.txt").write_text("\n".join(lines[20:]))
    return root


def test_batches_are_the_same_for_any_number_of_workers(root: Path, tmp_path: Path) -> None:
    def numbers(count: int) -> list[dict[str, Tensor]]:
        return batches(module(root, tmp_path, RICH, num_workers=count), stage1(), 12)

    for alone, helped in zip(numbers(0), numbers(2), strict=True):
        assert alone.keys() == helped.keys()
        for key in alone:
            assert torch.equal(alone[key], helped[key]), key


def test_epochs_and_seeds_differ(root: Path, tmp_path: Path) -> None:
    def points(seed: int) -> list[Tensor]:
        data = module(root, tmp_path, RICH, batch_size=20, seed=seed)
        return [batch["points"] for batch in batches(data, stage1(), 2)]

    first, second = points(0)
    assert not torch.isclose(first, second).all(dim=(1, 2)).any()
    assert not torch.equal(first, points(1)[0])
    assert torch.equal(first, points(0)[0])


def test_views_hold_no_pixels(root: Path, tmp_path: Path) -> None:
    data = module(root, tmp_path)
    data.for_stage(stage1(), None, 1)
    views = data.views("train", PAPER)
    assert data.faces("train").store.pixels.numel() > 30_000
    assert len(pickle.dumps(views)) < 8_000
    again = pickle.loads(pickle.dumps(views))
    draws = [(0, 3), (1, 7)]
    for key, value in views.__getitems__(draws).items():
        assert torch.equal(again.__getitems__(draws)[key], value), key


def test_validation_faces_are_seen_as_they_are_and_not_trained_on(
    root: Path, tmp_path: Path
) -> None:
    data = module(root, tmp_path, RICH, val_fraction=0.25, batch_size=15)
    data.for_stage(stage1(), None, 1)
    (train,) = data.train_dataloader()
    (val,) = data.val_dataloader()
    assert sorted(torch.cat([train["face"], val["face"]]).tolist()) == list(range(20))
    assert not val["shake"].any()
    # The folder's one box: 20 px wide at (8, 10), its left eye at (13, 16).
    torch.testing.assert_close(val["points"][:, 0], torch.tensor([[0.25, 0.3]]).expand(5, -1))
    torch.testing.assert_close(val["size"], torch.tensor([[20.0, 20.0]]).expand(5, -1))
    everything = module(root, tmp_path, val_fraction=0.25, fit_val=True)
    assert len(everything.views("train")) == 20
    assert len(everything.views("val")) == 5


def test_canvas_is_the_whole_image(root: Path, tmp_path: Path) -> None:
    data = module(root, tmp_path)
    batch = data.views("train").batch(torch.zeros(1).long(), torch.zeros(1).long())
    # 40 x 36 px, from -.5 to 39.5 and 35.5; box 20 px at (8, 10)
    wanted = [[(19.5 - 8) / 20, (17.5 - 10) / 20, 1.0, 0.9]]
    torch.testing.assert_close(batch["canvas"], torch.tensor(wanted))
    flipped = data.views("train", Augment(flip=1.0)).batch(*torch.zeros(2, 1).long())
    wanted[0][0] = 1 - wanted[0][0]
    torch.testing.assert_close(flipped["canvas"], torch.tensor(wanted))


def test_reading_in_order_draws_nothing_from_the_global_generator(
    root: Path, tmp_path: Path
) -> None:
    data = module(root, tmp_path)
    before = torch.get_rng_state()
    assert len(list(data.in_order("test"))) == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_test_list_has_its_own_pixels(root: Path, tmp_path: Path) -> None:
    data = module(root, tmp_path)
    (batch,) = data.in_order("test")
    crops = data.crops(batch, "test")(torch.tensor([[[0.5, 0.5, 0.2, 0.2]]]).expand(4, -1, -1), 1)
    # face_folder paints image n with blue n
    torch.testing.assert_close(crops[:, 0, 2, 0, 0] * 255, torch.tensor([20.0, 21, 22, 23]))


class _Fixed(Stage):
    """Finds every point at (.1, .2) of the box, whatever it sees."""

    def fuse(self, votes: Tensor, frames: Tensor) -> Tensor:
        return torch.tensor([0.1, 0.2]).expand(len(votes), 5, 2)


class FixedStage(_Fixed, BoxStage):
    pass


@pytest.mark.parametrize(("anchors", "predicted"), [("pred", True), ("gt", False)])
def test_windows_are_centred_on_the_points_of_the_stage_before(
    root: Path, tmp_path: Path, anchors: str, predicted: bool
) -> None:
    data = module(root, tmp_path, PAPER, anchors=anchors, val_fraction=0.25)
    region = {"region": [0, 1, 0, 1], "points": ["LE", "RE", "N", "LM", "RM"]}
    prior = Cascade({"stage1": FixedStage({"F1": region}, {"input_size": 15, **TINY})})
    data.for_stage(later_stage(0.1), prior, 2)
    fixed = torch.tensor([0.1, 0.2]).expand(6, 5, 2)
    for batch in data.train_dataloader():
        wanted = fixed if predicted else batch["points"]
        torch.testing.assert_close(batch["anchors"], wanted)
        cut = data.on_after_batch_transfer(batch, 0)
        torch.testing.assert_close(cut["frame"][..., :2], wanted + batch["shake"])
    (val,) = data.val_dataloader()  # judged as it will be used
    torch.testing.assert_close(val["anchors"], fixed[:5])
    assert not any(p.requires_grad for p in prior.parameters())


def test_each_view_has_anchors_of_its_own(root: Path, tmp_path: Path) -> None:
    data = module(root, tmp_path, RICH)
    data.for_stage(stage1(), None, 1)
    views = data.views("train", RICH)
    views.find_anchors(lambda batch: batch["points"], batch_size=7, epochs=18)
    rows, epochs = torch.tensor([3, 19, 8]), torch.tensor([0, 17, 5])
    batch = views.batch(epochs, rows)
    torch.testing.assert_close(batch["anchors"], batch["points"])


def test_views_that_no_batch_sees_are_left_out(root: Path, tmp_path: Path) -> None:
    data = module(root, tmp_path, RICH, val_fraction=0.25, batch_size=6)
    region = {"region": [0, 1, 0, 1], "points": ["LE", "RE", "N", "LM", "RM"]}
    prior = Cascade({"stage1": FixedStage({"F1": region}, {"input_size": 15, **TINY})})
    data.for_stage(later_stage(0.1), prior, 6)  # 36 samples of 15 rows: the third epoch's begin
    loader = data.train_dataloader()
    anchors = cast(FaceViews, loader.dataset).anchors
    assert anchors is not None
    assert anchors.shape[:2] == (3, 15)
    assert len([batch["anchors"] for batch in loader]) == 6


def test_skipped_faces_are_counted_and_listed(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "3.png").write_bytes(b"no image")
    (root / "7.png").unlink()
    data = module(root, tmp_path, on_error="skip")
    with caplog.at_level(logging.WARNING, logger="facegeo"):
        data.check(["train"])
        data.check(["train"])
    assert len(data.faces("train").names) == 18
    (record,) = [record for record in caplog.records if record.name.startswith("facegeo")]
    head, *lines = record.getMessage().splitlines()
    assert head == "trainImageList.txt: skipped 2 of 20 faces:"
    assert [line.split(":")[0] for line in lines] == [
        "  trainImageList.txt line 4, 3.png",
        "  trainImageList.txt line 8, 7.png",
    ]
    with pytest.raises(UserError, match=r"2 faults(.|\n)*line 4, 3.png(.|\n)*line 8, 7.png"):
        module(root, tmp_path).check(["train"])


def test_faults_of_both_lists_are_reported_together(root: Path, tmp_path: Path) -> None:
    (root / "3.png").write_bytes(b"no image")
    (root / "21.png").unlink()
    both = r"2 faults(.|\n)*trainImageList.txt line 4, 3.png.*\n  testImageList.txt .*21.png"
    with pytest.raises(UserError, match=both):
        module(root, tmp_path).check(["train", "test"])
    with pytest.raises(UserError, match=r"1 fault(.|\n)*3.png"):  # the test list is not needed
        module(root, tmp_path).check(["train"])


def test_data_is_generated_once(root: Path, tmp_path: Path) -> None:
    calls: list[int] = []
    data = module(root, tmp_path, prepare=lambda: calls.append(1))
    data.prepare_data()
    data.prepare_data()
    assert calls == [1]


def test_split_is_saved_and_another_is_refused(root: Path, tmp_path: Path) -> None:
    module(root, tmp_path, val_fraction=0.25).keep_split(tmp_path / "split.json")
    module(root, tmp_path, val_fraction=0.25).keep_split(tmp_path / "split.json")
    with pytest.raises(UserError, match=r"wanted fraction 0.5, got 0.25"):
        module(root, tmp_path, val_fraction=0.5).keep_split(tmp_path / "split.json")


def test_twins_of_the_two_lists_are_named(root: Path, tmp_path: Path) -> None:
    (root / "21.png").write_bytes((root / "4.png").read_bytes())
    assert module(root, tmp_path).twins() == [("4.png", "21.png")]


def test_unknown_anchors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"anchors\n.*'pred' or 'gt'.*'truth'"):
        module(tmp_path, tmp_path, anchors="truth")


def test_crops_before_a_stage_is_chosen_are_refused(root: Path, tmp_path: Path) -> None:
    data = module(root, tmp_path)
    (batch,) = data.in_order("train")
    with pytest.raises(RuntimeError, match="call for_stage"):
        data.on_after_batch_transfer(batch, 0)


def test_only_objects_that_accept_on_rate_get_it(tmp_path: Path) -> None:
    calls: list[object] = []

    def rendering(on_rate: Callable[[float], object]) -> None:
        on_rate(12.0)

    def copying() -> None:
        calls.append("copied")

    for prepare in (rendering, copying):
        data = LFPWDataModule(str(tmp_path), str(tmp_path), PAPER, prepare=prepare)
        data.prepare_data(on_rate=calls.append)
        data.prepare_data(on_rate=calls.append)  # there is nothing left to do
    assert calls == [12.0, "copied"]
