"""Networks that CCNN is compared with."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from facegeo.files.shipped import conf_dir
from facegeo.landmarks.baselines import PartedConv, ResNetPoints, SunNet, SunNets
from facegeo.landmarks.nets import Cascade

SHAPE = {"channels": [2, 3], "kernels": [4, 3], "pools": 2}


def composed(experiment: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("train", [f"experiment={experiment}"])


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    model = instantiate(composed("ccnn/sun").model)
    assert isinstance(model, Cascade)
    return model


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_as_many_weights_as_hand_arithmetic_and_the_papers_megabytes(cascade: Cascade) -> None:
    f1 = 16 * 20 + 4 * 9 * 20 * 40 + 9 * 9 * 40 * 60 + 4 * 4 * 60 * 80 + 320 * 120 + 120 * 10
    partial = 16 * 20 + 4 * 9 * 20 * 40 + 6 * 9 * 40 * 60 + 2 * 4 * 60 * 80 + 160 * 100 + 100 * 6
    small = 16 * 20 + 9 * 20 * 40 + 160 * 60 + 60 * 2
    by_stage = [
        sum(p.numel() for p in stage.parameters() if p.dim() > 1)
        for stage in cascade.by_name().values()
    ]
    assert by_stage == [f1 + 2 * partial, 10 * small, 10 * small]
    assert f"{4 * sum(by_stage) / 2**20:.2f}" == "4.24"  # CCNN, Table 3, of reference [13]


@pytest.mark.parametrize(
    ("experiment", "rate"),
    [("ccnn/sun", 0.004), ("ccnn/resnet18", 0.001), ("ccnn/resnet34", 0.001)],
)
def test_others_are_trained_as_ours_is_but_for_the_rate(experiment: str, rate: float) -> None:
    ours, other = composed("ccnn/tuned"), composed(experiment)
    assert other["task"]["optimizer"]["lr"] == rate
    other["task"]["optimizer"]["lr"] = ours["task"]["optimizer"]["lr"]
    assert {key for key in ours if ours[key] != other[key]} == {"model"}


def test_levels_vote_in_windows_of_the_papers_sizes(cascade: Cascade) -> None:
    assert [(len(s.names), s.input_size) for s in cascade.by_name().values()] == [
        (3, 39),
        (10, 15),
        (10, 15),
    ]
    anchors = torch.full((1, 5, 2), 0.5)
    for stage, sizes in (("stage2", (0.16, 0.18)), ("stage3", (0.11, 0.12))):
        windows = cascade.by_name()[stage].windows(anchors)
        torch.testing.assert_close(windows[0, :2, 2], torch.tensor(sizes))


def test_the_nets_are_shown_no_colour(cascade: Cascade) -> None:
    crops = torch.rand(2, 10, 3, 15, 15, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = (crops * shares).sum(dim=2, keepdim=True).expand(-1, -1, 3, -1, -1)
    stage = cascade.by_name()["stage2"]
    assert stage(crops).shape == (2, 10, 2)
    torch.testing.assert_close(stage(grey), stage(crops), atol=1e-5, rtol=1e-4)


def test_one_part_is_an_ordinary_convolution() -> None:
    conv, x = PartedConv(3, 4, 3, (1, 1), (8, 10)), random(2, 3, 8, 10)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.parts[0].weight, conv.parts[0].bias))


def test_each_part_of_the_map_has_its_own_weights() -> None:
    conv, x = PartedConv(3, 4, 3, (2, 3), (6, 8)), random(2, 3, 6, 8)  # leaves 4 x 6
    found = conv(x)
    assert found.shape == (2, 4, 4, 6)
    for number, part in enumerate(conv.parts):
        rows = slice(2 * (number // 3), 2 * (number // 3) + 2)
        columns = slice(2 * (number % 3), 2 * (number % 3) + 2)
        wanted = F.conv2d(x, part.weight, part.bias)[..., rows, columns]
        torch.testing.assert_close(found[..., rows, columns], wanted)


def test_a_net_rectifies_behind_tanh_and_pools_then() -> None:
    net = SunNet(2, size=(15, 15), parts=[[1, 1], [1, 1]], hidden=5, **SHAPE)
    x = random(3, 1, 15, 15)
    values = x
    for conv in net.convs:
        values = F.max_pool2d(torch.tanh(conv(values)).abs(), 2)
    wanted = net.fc2(torch.tanh(net.fc1(values.flatten(1))))
    torch.testing.assert_close(net(x), wanted)


def test_a_net_of_fewer_rows_sees_the_whole_crop() -> None:
    torch.manual_seed(0)  # in some nets of so few channels nothing reaches the end
    net = SunNet(2, size=(11, 15), parts=[[1, 1], [1, 1]], hidden=5, **SHAPE)
    x = random(1, 1, 15, 15)
    changed = x.clone()
    changed[..., -1, :] += 1
    assert not torch.allclose(net(x), net(changed))


def test_nets_share_nothing() -> None:
    shape = {"rows": 15, "parts": [[1, 1], [1, 1]], "hidden": 5}
    nets, x = SunNets([4, 2], input_size=15, shapes=[shape], **SHAPE), random(3, 2, 1, 15, 15)
    changed = x.clone()
    changed[:, 1] += 1
    before, after = nets(x), nets(changed)
    assert before.shape == (3, 6)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).any()


def test_parts_that_do_not_divide_the_map_are_refused() -> None:
    with pytest.raises(ValueError, match=r"parts \[2, 4\] must divide the 4 x 6 map"):
        PartedConv(1, 1, 3, (2, 4), (6, 8))


def test_shapes_that_are_neither_one_nor_one_a_net_are_refused() -> None:
    shape = {"rows": 15, "parts": [[1, 1], [1, 1]], "hidden": 5}
    with pytest.raises(ValueError, match="shapes must be 1 or 3, one a net, got 2"):
        SunNets([4, 2, 2], input_size=15, shapes=[shape] * 2, **SHAPE)


# torchvision's parameters with 1,000 classes, less these, with ten numbers in their place
REGRESSORS = {18: 11_689_512 - 513_000 + 5_130, 34: 21_797_672 - 513_000 + 5_130}


@pytest.mark.parametrize("depth", [18, 34])
def test_a_regressor_has_torchvisions_parameters_and_its_own_ten_outputs(depth: int) -> None:
    cascade = instantiate(composed(f"ccnn/resnet{depth}").model)
    assert sum(p.numel() for p in cascade.parameters()) == REGRESSORS[depth]
    (stage,) = cascade.by_name().values()
    assert stage.names == ("face",)
    assert stage.eval()(torch.rand(2, 1, 3, 64, 64)).shape == (2, 5, 2)


def test_positions_in_the_last_features_do_not_matter() -> None:
    nets = ResNetPoints([10], input_size=64, depth=18).eval()
    (net,) = nets.nets
    crops = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = net.encoder(crops[:, 0])[-1]
    assert features.shape == (2, 512, 2, 2)
    torch.testing.assert_close(nets(crops), net.fc(features.flatten(2).mean(dim=2)))


@pytest.mark.parametrize("side", [0, 39])
def test_sides_that_are_not_multiples_of_32_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match=f"input_size\n.*input_value={side},"):
        ResNetPoints([10], input_size=side, depth=18)
