from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from facegeo.files.shipped import conf_dir
from facegeo.landmarks.nets import BoxStage, Cascade, PointStage, Stage

NAMES = ["LE", "RE", "N", "LM", "RM"]
NET: dict[str, Any] = {"input_size": 15, "channels": [2, 2], "kernels": [4, 3], "hidden": 3}
NETS = {
    "F1": {"region": [0.0, 1.0, 0.0, 1.0], "points": NAMES},
    "EN1": {"region": [0.0, 1.0, 0.0, 0.5], "points": ["LE", "RE", "N"]},
    "NM1": {"region": [0.2, 0.8, 0.5, 1.0], "points": ["N", "LM", "RM"]},
}
CANVAS = torch.tensor([[0.5, 0.6, 1.5, 2.0], [0.3, 0.4, 1.0, 1.0]])


def box_stage(**options: Any) -> BoxStage:
    return BoxStage(NETS, NET, **options)


def point_stage(*sizes: float, **options: Any) -> PointStage:
    return PointStage(sizes or (0.16, 0.18), NET, **options)


def points(seed: int = 0) -> Tensor:
    return torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(seed))


def test_stage_1_crops_its_regions() -> None:
    wanted = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.5, 0.25, 0.5, 0.25], [0.5, 0.75, 0.3, 0.25]])
    torch.testing.assert_close(box_stage().windows(points()), wanted.expand(2, -1, -1))
    assert box_stage().names == ("F1", "EN1", "NM1")


@pytest.mark.parametrize(("mode", "share"), [("half", 1.0), ("full", 0.5)])
def test_later_stages_crop_around_the_points_before(mode: str, share: float) -> None:
    stage, anchors = point_stage(mode=mode), points()
    windows = stage.windows(anchors)
    assert windows.shape == (2, 10, 4)
    for net in range(10):
        half = (0.16, 0.18)[net % 2] * share
        torch.testing.assert_close(windows[:, net, :2], anchors[:, net // 2])
        torch.testing.assert_close(windows[:, net, 2:], torch.full((2, 2), half))
    assert point_stage(level=3).names == tuple(f"{name}3{i}" for name in NAMES for i in (1, 2))


def test_targets_are_places_in_each_nets_own_window() -> None:
    stage = box_stage()
    true = torch.tensor([[[0.3, 0.2], [0.7, 0.2], [0.5, 0.6], [0.35, 0.75], [0.65, 0.75]]])
    frames = stage.frames(stage.windows(true), CANVAS[:1])
    wanted = [
        *([0.3, 0.2], [0.7, 0.2], [0.5, 0.6], [0.35, 0.75], [0.65, 0.75]),  # F1: the box itself
        *([0.3, 0.4], [0.7, 0.4], [0.5, 1.2]),  # EN1: upper half
        *([0.5, 0.2], [0.25, 0.5], [0.75, 0.5]),  # NM1: .6 x .5 from (.2, .5)
    ]
    torch.testing.assert_close(stage.targets(true, frames), torch.tensor([wanted]))


def test_targets_in_the_frame_of_the_image() -> None:
    stage, true = box_stage(label="image"), points()
    frames = stage.frames(stage.windows(true), CANVAS)
    got = stage.targets(true, frames)
    # The first image runs from x = -1 to 2 and y = -1.4 to 2.6 box sides.
    wanted = (true[0] - torch.tensor([-1.0, -1.4])) / torch.tensor([3.0, 4.0])
    torch.testing.assert_close(got[0], wanted[[0, 1, 2, 3, 4, 0, 1, 2, 2, 3, 4]])
    torch.testing.assert_close(stage.fuse(got, frames), true)


@pytest.mark.parametrize("label", ["window", "image"])
def test_true_votes_fuse_to_the_truth(label: str) -> None:
    true = points()
    for stage in (box_stage(label=label), point_stage(label=label)):
        frames = stage.frames(stage.windows(points(1)), CANVAS)
        torch.testing.assert_close(stage.fuse(stage.targets(true, frames), frames), true)


@pytest.mark.parametrize(
    ("fusion", "nose", "eye"), [("mean", 0.6, 0.3), ("first", 0.3, 0.2), ("last", 0.9, 0.4)]
)
def test_fusion_can_use_only_one_net(fusion: str, nose: float, eye: float) -> None:
    unit = torch.tensor([0.5, 0.5, 0.5, 0.5]).expand(1, 11, 4)  # votes are box places
    votes = torch.zeros(1, 11, 2)
    votes[0, [2, 7, 8], 0] = torch.tensor([0.3, 0.6, 0.9])  # F1, EN1 and NM1 on the nose
    votes[0, [0, 5], 1] = torch.tensor([0.2, 0.4])  # F1 and EN1 on the left eye
    found = box_stage(fusion=fusion).fuse(votes, unit)
    wanted = torch.zeros(1, 5, 2)
    wanted[0, 2, 0], wanted[0, 0, 1] = nose, eye
    torch.testing.assert_close(found, wanted)


def test_fusion_can_use_only_the_last_window_size() -> None:
    stage = point_stage(0.2, 0.1, fusion="last")
    anchors = points()
    votes = torch.full((2, 10, 2), 0.5)
    votes[:, 1::2] = 1.0  # the nets of size .1 point to the corner
    found = stage.fuse(votes, stage.frames(stage.windows(anchors), CANVAS))
    torch.testing.assert_close(found, anchors + 0.1)


def test_a_fusion_changes_no_weight_of_a_file() -> None:
    assert set(box_stage(fusion="first").state_dict()) == set(box_stage().state_dict())


@pytest.mark.parametrize("colour", ["rgb", "grey"])
def test_each_crop_is_standardised_by_itself_over_all_its_channels(
    colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = point_stage(colour=colour)
    crops = torch.rand(2, 10, 3, 15, 15, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []

    def spy(given: Tensor) -> Tensor:
        seen.append(given)
        return torch.zeros(2, 20)

    monkeypatch.setattr(stage.bank, "forward", spy)
    stage(crops)
    pixels = crops.double().numpy()
    if colour == "grey":  # ITU-R BT.601
        pixels = np.einsum("bwchs,c->bwhs", pixels, [0.299, 0.587, 0.114])[:, :, None]
    inside = {"axis": (2, 3, 4), "keepdims": True}
    wanted = (pixels - pixels.mean(**inside)) / (pixels.std(**inside) + 1e-6)
    torch.testing.assert_close(seen[0], torch.from_numpy(wanted).float(), atol=1e-5, rtol=1e-5)


def test_a_crop_of_one_colour_gives_finite_votes_and_gradients() -> None:
    stage = point_stage()
    votes = stage(torch.full((2, 10, 3, 15, 15), 0.7))
    votes.sum().backward()
    assert votes.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in stage.parameters())


class Eyes:
    """Gives each net a crop that says where it looked."""

    def __init__(self) -> None:
        self.windows: list[Tensor] = []

    def __call__(self, windows: Tensor, size: int) -> Tensor:
        self.windows.append(windows)
        return torch.zeros(*windows.shape[:2], 3, size, size)


def three_stages() -> Cascade:
    stages: dict[str, Stage] = {
        "stage1": box_stage(),
        "stage2": point_stage(0.16, 0.18),
        "stage3": point_stage(0.08),
    }
    with torch.no_grad():
        for number, stage in enumerate(stages.values(), start=1):
            stage.bank.fc2_bias.fill_(0.5 + number / 10)  # a black crop gives the last bias
    return Cascade(stages)


def test_each_stage_crops_around_the_previous_stages_points() -> None:
    eyes = Eyes()
    found = three_stages()(eyes, CANVAS)
    assert found.shape == (2, 3, 5, 2)
    # Stage 1 says .6 of each region: LE the mean of F1 (.6, .6) and EN1 (.6, .3).
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([0.6, 0.45]))
    torch.testing.assert_close(eyes.windows[1][:, 0, :2], found[:, 0, 0])
    # Stage 2 says .7 of windows of half size .16 and .18: (.2 * .32 + .2 * .36) / 2 further.
    torch.testing.assert_close(found[:, 1], found[:, 0] + 0.068)
    torch.testing.assert_close(eyes.windows[2][..., :2], found[:, 1])
    torch.testing.assert_close(found[:, 2], found[:, 1] + 0.3 * 0.16)


def test_the_first_stages_share_their_weights() -> None:
    cascade = three_stages()
    part = cascade.first(2)
    assert list(part.stages) == ["stage1", "stage2"]
    assert part.stages["stage2"] is cascade.stages["stage2"]
    torch.testing.assert_close(part(Eyes(), CANVAS), cascade(Eyes(), CANVAS)[:, :2])


def test_a_count_leaves_the_stages_behind_it_out() -> None:
    stages = three_stages().by_name()
    cascade = Cascade(stages, count=1)
    assert list(cascade.stages) == ["stage1"]
    assert cascade(Eyes(), CANVAS).shape == (2, 1, 5, 2)
    assert list(Cascade(stages, count=3).stages) == list(stages)


def test_a_single_stage_1_starts_as_in_the_whole_cascade() -> None:
    starts = []
    for count in (1, None):
        torch.manual_seed(0)
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            cascade = instantiate(compose("train", [f"model.count={count or 'null'}"]).model)
        starts.append(cascade.by_name()["stage1"].state_dict())
    torch.testing.assert_close(starts[0], starts[1], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: box_stage(fusion="median"), "fusion\n.*'median'"),
        (lambda: box_stage(colour="sepia"), "colour\n.*'sepia'"),
        (lambda: box_stage(label="face"), "label\n.*'face'"),
        (lambda: point_stage(mode="quarter"), "mode\n.*'quarter'"),
        (lambda: BoxStage({"EN1": NETS["EN1"]}, NET), r"no net of the stage sees \['LM', 'RM'\]"),
        (
            lambda: BoxStage({"F1": NETS["F1"] | {"points": [*NAMES, "chin"]}}, NET),
            "points must be among .*RM.*, got chin",
        ),
        (lambda: Cascade(three_stages().by_name(), 0), "count must be from 1 to 3.* got 0"),
        (lambda: Cascade(three_stages().by_name(), 4), "count must be from 1 to 3.* got 4"),
    ],
)
def test_invalid_stages_and_counts_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
