import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from facegeo.files.shipped import conf_dir
from facegeo.landmarks.baselines import ResNetPoints

# torchvision's parameters with 1,000 classes, less these, with ten numbers in their place
REGRESSORS = {18: 11_689_512 - 513_000 + 5_130, 34: 21_797_672 - 513_000 + 5_130}


@pytest.mark.parametrize("depth", [18, 34])
def test_a_regressor_has_torchvisions_parameters_and_its_own_ten_outputs(depth: int) -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cascade = instantiate(compose("train", [f"experiment=ccnn/resnet{depth}"]).model)
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
