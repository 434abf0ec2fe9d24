"""What generators of normals share: what they take, and how their last layer becomes normals."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facegeo.checks import check_shape
from facegeo.geometry.normals import normalise


def to_normals(x: Tensor) -> Tensor:
    """Unit vectors in float32, whatever the layers computed in, from (B, 3, H, W) of any length."""
    return normalise(torch.tanh(x.float()), eps=1e-6)


def face_camera(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Let a last layer's first guess look at the camera, by a bias of (0, 0, 1).

    Ours: no paper says how it begins. Where chance lets some of the weights of a transposed
    convolution begin on the far side of the sphere, a cosine's gradient vanishes, and a lattice of
    pixels stays there (experiments/casfne/generated.md).
    """
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))


def check_one_stage(image: Tensor, t: int | None, stride: int) -> None:
    """See that a generator without refinements can do what it is asked.

    Args:
        image: Shape (B, 3, H, W).
        t: Refinements asked for; None: as many as it has.
        stride: What H and W must be multiples of.

    Raises:
        ValueError: If the shape is another, or refinements are wanted.
    """
    if t not in (None, 0):
        raise ValueError(f"t must be 0, got {t}: this generator has one stage, no refinements")
    check_shape("image", image, "B", 3, "H", "W")
    if image.shape[-2] % stride or image.shape[-1] % stride:
        raise ValueError(
            f"image must have sides that are multiples of {stride}, got {tuple(image.shape)}"
        )
