"""The authors' file: same outputs as their published network, anything else refused.

The reference is functional: it reads the file's own tensors in the published order of layers.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

from facegeo.errors import UserError
from facegeo.normals import author_weights as checkpoint
from facegeo.normals.author_weights import load_author_generator
from facegeo.normals.generator import PatchDiscriminator

Tensors = dict[str, Tensor]
BASE, CODE, DECODE = "BasedNormalNet.", "NormalEncoder.", "NormalDecoder."


def conv(name: str, *shape: int, bias: bool = True, turned: bool = False) -> Iterator[Any]:
    fan_in = shape[0 if turned else 1] * shape[2] * shape[3]
    yield f"{name}.weight", torch.randn(shape) * (2 / fan_in) ** 0.5
    if bias:
        yield f"{name}.bias", torch.randn(shape[1 if turned else 0]) / 10


def norm(name: str, channels: int) -> Iterator[Any]:
    yield f"{name}.weight", torch.rand(channels) + 0.5
    yield f"{name}.bias", torch.randn(channels) / 10
    yield f"{name}.running_mean", torch.randn(channels) / 10
    yield f"{name}.running_var", torch.rand(channels) + 0.5
    yield f"{name}.num_batches_tracked", torch.tensor(500)


def resnet() -> Iterator[Any]:
    yield from conv("conv1", 64, 3, 7, 7, bias=False)
    yield from norm("bn1", 64)
    before = 64
    for layer, after in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            name = f"layer{layer}.{block}"
            yield from conv(f"{name}.conv1", after, before, 3, 3, bias=False)
            yield from norm(f"{name}.bn1", after)
            yield from conv(f"{name}.conv2", after, after, 3, 3, bias=False)
            yield from norm(f"{name}.bn2", after)
            if before != after:
                yield from conv(f"{name}.downsample.0", after, before, 1, 1, bias=False)
                yield from norm(f"{name}.downsample.1", after)
            before = after
    yield "fc.weight", torch.randn(1000, 512)
    yield "fc.bias", torch.randn(1000)


def twice_registered() -> Iterator[Any]:
    shared = dict(resnet())
    for name, value in shared.items():
        yield f"{BASE}base_model.{name}", value
    for name, value in shared.items():
        for beginning, alias in (("conv1.", "layer0.0."), ("bn1.", "layer0.1.")):
            if name.startswith(beginning):
                yield BASE + alias + name.removeprefix(beginning), value
        if name.startswith("layer"):
            yield BASE + name.replace("layer1.", "layer1.1."), value


def generator() -> Iterator[Any]:
    yield from twice_registered()
    for number, channels in zip(range(4, 9), (512, 288, 160, 96, 96), strict=True):
        yield from conv(f"{BASE}deconv{number}", channels, 32, 4, 4, turned=True)
        yield from norm(f"{BASE}deconv{number}_bn", 32)
    yield from conv(f"{BASE}conhead", 32, 3, 3, 3, turned=True)
    widths = (3, 32, 64, 128, 256, 256)
    for number in range(1, 6):
        yield from conv(f"{CODE}conv{number}", widths[number], widths[number - 1], 4, 4)
        if number in (2, 3, 4):
            yield from norm(f"{CODE}conv{number}_bn", widths[number])
    channels_of = ((768, 256), (512, 128), (256, 64), (128, 64), (128, 3))
    for number, (channels, out) in zip(range(4, 9), channels_of, strict=True):
        yield from conv(f"{DECODE}N2deconv{number}", channels, out, 4, 4, turned=True)
        if number < 8:
            yield from norm(f"{DECODE}N2deconv{number}_bn", out)


def discriminator() -> Iterator[Any]:
    channels = (3, 64, 128, 256, 512)
    for place, index in enumerate((0, 2, 5, 8)):
        yield from conv(f"model.{index}", channels[place + 1], channels[place], 3, 3)
    yield from conv("model.12", 1, 512, 4, 4)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """What the authors' file holds, with random numbers."""
    torch.manual_seed(0)
    whole = {"epoch": 500, "model": dict(generator()), "Dmodel": dict(discriminator())}
    whole["model"][f"{CODE}conv5.weight"] *= 30  # else what the normals were hardly matters
    return whole


@pytest.fixture(scope="module")
def file(published: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("author") / "epoch_500.pth"
    torch.save(published, path)
    return path


class Reference:
    """The published network, layer by layer, on the file's tensors."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        bias = self.tensors.get(f"{name}.bias")
        return F.conv2d(x, self.tensors[f"{name}.weight"], bias, stride, padding)

    def turned(self, x: Tensor, name: str, stride: int = 2) -> Tensor:
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return F.conv_transpose2d(x, weight, bias, stride, 1)

    def norm(self, x: Tensor, name: str) -> Tensor:
        kinds = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.tensors[f"{name}.{kind}"] for kind in kinds))

    def layer(self, x: Tensor, name: str, stride: int) -> Tensor:
        for block in (f"{name}.0", f"{name}.1"):
            first = stride if block.endswith("0") else 1
            y = F.relu(self.norm(self.conv(x, f"{block}.conv1", first, 1), f"{block}.bn1"))
            y = self.norm(self.conv(y, f"{block}.conv2", 1, 1), f"{block}.bn2")
            if f"{block}.downsample.0.weight" in self.tensors:
                x = self.norm(self.conv(x, f"{block}.downsample.0", first), f"{block}.downsample.1")
            x = F.relu(x + y)
        return x

    def structure(self, image: Tensor) -> list[Tensor]:
        base = f"{BASE}base_model."
        stem = F.relu(self.norm(self.conv(image, f"{base}conv1", 2, 3), f"{base}bn1"))
        found, x = [stem], F.max_pool2d(stem, 3, 2, 1)
        for number, stride in ((1, 1), (2, 2), (3, 2), (4, 2)):
            x = self.layer(x, f"{base}layer{number}", stride)
            found.append(x)
        return found

    def normals(self, image: Tensor, t: int) -> list[Tensor]:
        feats = self.structure(image)
        x = feats[4]
        for number, skip in zip((4, 5, 6, 7), feats[3::-1], strict=True):
            x = self.norm(self.turned(x, f"{BASE}deconv{number}"), f"{BASE}deconv{number}_bn")
            x = F.relu(torch.cat([x, skip], 1))
        x = self.norm(self.turned(x, f"{BASE}deconv8"), f"{BASE}deconv8_bn")
        stages = [F.normalize(torch.tanh(self.turned(x, f"{BASE}conhead", 1)))]
        for _ in range(t):
            stages.append(self.refined(stages[-1], feats))
        return stages

    def refined(self, normals: Tensor, feats: list[Tensor]) -> Tensor:
        x = self.conv(normals, f"{CODE}conv1", 2, 1)
        for number in (2, 3, 4):
            x = self.conv(F.leaky_relu(x, 0.2), f"{CODE}conv{number}", 2, 1)
            x = self.norm(x, f"{CODE}conv{number}_bn")
        x = torch.cat([feats[4], self.conv(F.leaky_relu(x, 0.2), f"{CODE}conv5", 2, 1)], 1)
        for number, skip in zip((4, 5, 6, 7), feats[3::-1], strict=True):
            name = f"{DECODE}N2deconv{number}"
            x = torch.cat([self.norm(self.turned(F.relu(x), name), f"{name}_bn"), skip], 1)
        return F.normalize(torch.tanh(self.turned(F.relu(x), f"{DECODE}N2deconv8")))

    def logits(self, normals: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv(normals, "model.0", 2, 1), 0.2)
        for number in (2, 5, 8):
            x = F.leaky_relu(F.instance_norm(self.conv(x, f"model.{number}", 2, 1)), 0.2)
        return self.conv(F.pad(x, (1, 0, 1, 0)), "model.12", 1, 1)


def test_the_generator_is_the_published_one_for_every_t(
    published: dict[str, Any], file: Path
) -> None:
    ours = load_author_generator(file)
    assert not ours.training
    torch.manual_seed(1)
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        wanted = Reference(published["model"]).normals(image, 4)
        assert len(ours(image)) == 3
        for t in range(5):
            got = ours(image, t)
            assert len(got) == t + 1
            for stage, want in zip(got, wanted, strict=False):
                torch.testing.assert_close(stage, want, atol=1e-5, rtol=0)
    changes = [(b - a).abs().mean() for a, b in pairwise(wanted)]
    assert min(changes) > 0.001  # so the test can tell the stages apart


def test_the_discriminator_is_the_published_one(published: dict[str, Any]) -> None:
    ours = PatchDiscriminator().eval()
    ours.load_state_dict(published["Dmodel"])
    normals = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        wanted = Reference(published["Dmodel"]).logits(normals)
        torch.testing.assert_close(ours(normals), wanted, atol=1e-5, rtol=0)


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda whole: whole["model"].pop(f"{CODE}conv3_bn.bias"),
            r"missing NormalEncoder.conv3_bn.bias; left over none",
        ),
        (
            lambda whole: whole["model"].update({"module.x": torch.zeros(1)}),
            r"missing none; left over module.x",
        ),
        (
            lambda whole: whole.update(model=whole["Dmodel"]),
            r"missing BasedNormalNet.base_model.bn1.bias, .* and \d+ more; left over model.0.bias",
        ),
        (
            lambda whole: whole["model"].update({f"{BASE}conhead.bias": torch.zeros(4)}),
            r"BasedNormalNet.conhead.bias in .* must have shape \(3,\), got \(4,\)",
        ),
        (
            lambda whole: whole["model"].update({f"{BASE}conhead.bias": 3.0}),
            r"BasedNormalNet.conhead.bias in .* must be a tensor, got a float",
        ),
        (
            lambda whole: whole["model"].update({f"{BASE}layer1.1.0.bn1.bias": torch.ones(64)}),
            r"base_model.layer1.0.bn1.bias and BasedNormalNet.layer1.1.0.bn1.bias must be the same",
        ),
        (
            lambda whole: whole.pop("model"),
            r"must be a dict with 'model' .* got \['Dmodel', 'epoch'\]",
        ),
    ],
)
def test_checkpoint_of_another_network_is_refused_naming_its_tensors(
    edit: Edit,
    message: str,
    published: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = {key: dict(part) if isinstance(part, dict) else part for key, part in published.items()}
    edit(whole)
    monkeypatch.setattr(checkpoint, "read_torch_file", lambda path: whole)
    with pytest.raises(UserError, match=message):
        load_author_generator("epoch_500.pth")
