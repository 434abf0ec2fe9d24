"""Losses on normal maps: values by hand, masks, gradients, half precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from facegeo.normals.losses import CosineLoss, NormalDifferenceLoss, TotalVariationLoss

HALF = 0.5**0.5
ANGLED = torch.tensor([HALF, 0, HALF])[:, None, None]  # 45 degrees off the camera
CAMERA = torch.tensor([0.0, 0, 1])[:, None, None]
Cost = Callable[[list[Tensor], Tensor, Tensor], Tensor]
COSTS: dict[str, Cost] = {
    "cosine": CosineLoss(),
    "cosine-all-pixels": CosineLoss(masked=False),
    "difference": NormalDifferenceLoss(),
    "variation": lambda stages, _, mask: TotalVariationLoss()(stages, mask),
    "variation-author": lambda stages, _, mask: TotalVariationLoss(masked=False)(stages, mask),
}
every_cost = pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
masked_costs = pytest.mark.parametrize(
    "cost", [COSTS["cosine"], COSTS["difference"], COSTS["variation"]]
)


def faces() -> tuple[list[Tensor], Tensor, Tensor]:
    """Two stages, truth and a mask of unlike sizes: three faces of 6 x 5 pixels."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 3, 3, 6, 5, generator=generator)
    first, second, truth = torch.nn.functional.normalize(maps, dim=2)
    mask = torch.rand(3, 1, 6, 5, generator=generator) < torch.tensor([0.9, 0.5, 0.2]).view(
        3, 1, 1, 1
    )
    return [first, second], truth * mask, mask


def test_cosine_error_by_hand() -> None:
    truth = CAMERA.expand(1, 3, 1, 4)
    pred = torch.cat([CAMERA, ANGLED, -CAMERA, -CAMERA], dim=2)[None]
    mask = torch.tensor([True, True, True, False]).view(1, 1, 1, 4)
    stage = (0 + (1 - HALF) + 2) / 3
    torch.testing.assert_close(CosineLoss()([pred], truth, mask), torch.tensor(stage))
    both = CosineLoss()([pred, truth], truth, mask)  # a perfect stage adds nothing
    torch.testing.assert_close(both, torch.tensor(stage))


def test_later_stages_may_count_more() -> None:
    stages, truth, mask = faces()
    loss = CosineLoss(growth=3)
    first, second = (CosineLoss()([stage], truth, mask) for stage in stages)
    torch.testing.assert_close(loss([*stages, stages[0]], truth, mask), 10 * first + 3 * second)


def test_the_length_of_a_prediction_does_not_matter_even_if_zero() -> None:
    stages, truth, mask = faces()
    loss = CosineLoss()
    torch.testing.assert_close(loss([3 * stages[0]], truth, mask), loss(stages[:1], truth, mask))
    zero = torch.zeros_like(truth, requires_grad=True)
    nothing = loss([zero], truth, mask)
    nothing.backward()
    torch.testing.assert_close(nothing.detach(), torch.tensor(1.0))  # as at 90 degrees
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


def test_without_mask_the_background_is_white_read_as_a_normal() -> None:
    truth = torch.cat([CAMERA, 0 * CAMERA], dim=2)[None]
    mask = torch.tensor([True, False]).view(1, 1, 1, 2)
    # White (255, 255, 255) of Photoface's frame is (1, 1, 1): down, right, to the camera.
    white = torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1) / 3**0.5
    perfect = torch.cat([CAMERA, white], dim=2)[None]
    loss = CosineLoss(masked=False)
    torch.testing.assert_close(loss([perfect], truth, mask), torch.tensor(0.0))
    straight = CAMERA.expand(1, 3, 1, 2)
    torch.testing.assert_close(loss([straight], truth, mask), torch.tensor((0 + 1 - 3**-0.5) / 2))


def test_total_variation_by_hand() -> None:
    # x of a 2 x 3 map; colours are n / 2, so differences are halved
    x = torch.tensor([[0.0, 0.4, 1.0], [0.2, 0.4, -1.0]])
    stage = torch.zeros(1, 3, 2, 3)
    stage[0, 0] = x
    whole = (0.4 + 0.6 + 0.2 + 1.4) / 2 + (0.2 + 0.0 + 2.0) / 2
    mask = torch.tensor([[True, True, False], [True, True, True]]).view(1, 1, 2, 3)
    inside = (0.4 + 0.2 + 1.4) / 2 + (0.2 + 0.0) / 2
    plain = TotalVariationLoss(masked=False)
    torch.testing.assert_close(plain([stage], mask), torch.tensor(whole / 6))
    torch.testing.assert_close(
        TotalVariationLoss()([stage, stage], mask), torch.tensor(2 * inside / 5)
    )


def test_differences_by_hand() -> None:
    truth, pred = torch.zeros(1, 3, 1, 4), torch.zeros(1, 3, 1, 4)
    truth[0, 0, 0] = torch.tensor([0.0, 0.1, 0.3, 0.9])
    pred[0, 0, 0] = torch.tensor([0.5, 0.6, 0.6, 0.0])  # changes: 0.1 for 0.1, 0 for 0.2
    mask = torch.tensor([True, True, True, False]).view(1, 1, 1, 4)
    loss = NormalDifferenceLoss()
    torch.testing.assert_close(loss([pred], truth, mask), torch.tensor(0.2 / 3))
    constant = truth + torch.tensor([0.3, -0.2, 0.1])[:, None, None]
    torch.testing.assert_close(loss([constant], truth, mask), torch.tensor(0.0))


def test_variation_counts_every_channel_alike() -> None:
    stage = torch.zeros(1, 3, 1, 2)
    stage[0, :, 0, 1] = torch.tensor([0.1, -0.2, 0.4])
    mask = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    torch.testing.assert_close(TotalVariationLoss()([stage], mask), torch.tensor(0.7 / 2 / 2))


def test_the_authors_variation_grows_with_the_batch() -> None:
    stages, _, mask = faces()
    mean = TotalVariationLoss(masked=False)(stages, mask)
    summed = TotalVariationLoss(masked=False, mean_over_batch=False)(stages, mask)
    torch.testing.assert_close(summed, 3 * mean)


@every_cost
def test_a_batch_is_the_mean_of_its_faces(cost: Cost) -> None:
    stages, truth, mask = faces()
    alone = [
        cost([s[i : i + 1] for s in stages], truth[i : i + 1], mask[i : i + 1]) for i in range(3)
    ]
    torch.testing.assert_close(cost(stages, truth, mask), torch.stack(alone).mean())


@every_cost
def test_stages_add_up(cost: Cost) -> None:
    stages, truth, mask = faces()
    apart = cost(stages[:1], truth, mask) + cost(stages[1:], truth, mask)
    torch.testing.assert_close(cost(stages, truth, mask), apart)


@every_cost
def test_gradients_agree_with_differences(cost: Cost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "float", Tensor.double)  # differences need float64
    stages, truth, mask = faces()
    pred = stages[0].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: cost([p], truth.double(), mask), (pred,))


@masked_costs
def test_outside_the_mask_nothing_counts_not_even_nan(cost: Cost) -> None:
    stages, truth, mask = faces()
    wanted = cost(stages, truth, mask)
    broken = [torch.where(mask, s, torch.nan).requires_grad_() for s in stages]
    loss = cost(broken, truth, mask)
    loss.backward()
    torch.testing.assert_close(loss.detach(), wanted)
    for stage in broken:
        assert stage.grad is not None
        assert stage.grad.isfinite().all()
        assert (stage.grad.masked_select(~mask) == 0).all()
        assert (stage.grad.masked_select(mask) != 0).any()


@masked_costs
def test_an_empty_mask_has_zero_loss_and_zero_gradient(cost: Cost) -> None:
    stages, truth, mask = faces()
    pred = stages[0].requires_grad_()
    loss = cost([pred], truth, torch.zeros_like(mask))
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None
    assert (pred.grad == 0).all()


@every_cost
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_summed_in_float32(cost: Cost, dtype: torch.dtype) -> None:
    # 256 x 256 pixels: a sum of 65,536 ones overflows float16 and stalls in bfloat16
    pred = torch.nn.functional.normalize(torch.randn(1, 3, 256, 256), dim=1).to(dtype)
    truth, mask = CAMERA.expand(1, 3, 256, 256), torch.ones(1, 1, 256, 256, dtype=torch.bool)
    wide = cost([pred.float()], truth, mask)
    with torch.autocast("cpu", dtype=dtype):
        loss = cost([pred.requires_grad_()], truth, mask)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.detach(), wide)
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


def test_mismatched_inputs_are_refused() -> None:
    stages, truth, mask = faces()
    with pytest.raises(ValueError, match="stages must hold at least one normal map, got none"):
        TotalVariationLoss()([], mask)
    with pytest.raises(ValueError, match=r"stage 1 must have shape \(3, 3, 6, 5\), got \(1, 3"):
        CosineLoss()([stages[0], stages[1][:1]], truth, mask)
    with pytest.raises(ValueError, match=r"normal must have shape \(3, 3, 6, 5\), got \(1, 3"):
        CosineLoss()(stages, truth[:1], mask)
    with pytest.raises(ValueError, match=r"mask must have shape \(B, 1, H, W\), got \(3, 6, 5\)"):
        TotalVariationLoss()(stages, mask[:, 0])
