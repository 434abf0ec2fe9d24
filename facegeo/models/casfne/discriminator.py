"""Cas-FNE's discriminator: true or estimated, patch by patch."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from facegeo.checks import check_shape

CHANNELS = (64, 128, 256, 512)


class PatchDiscriminator(nn.Module):
    """Looks at a normal map and answers for each of its patches (D_adv of Eq. 7).

    The paper prints no layers; these are the published network's, under its keys. 1,559,169
    parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *CHANNELS), CHANNELS, strict=False):
            layers.append(nn.Conv2d(before, after, 3, 2, 1))
            if before != 3:
                layers.append(nn.InstanceNorm2d(after))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        # One row and column before the even map: a 4x4 kernel then leaves its size as it is.
        layers += [nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(CHANNELS[-1], 1, 4, padding=1)]
        self.model = nn.Sequential(*layers)

    def forward(self, normals: Tensor) -> Tensor:
        """Judge normal maps.

        Args:
            normals: Shape (B, 3, H, W), H and W multiples of 32.

        Returns:
            Logits, positive for true, shape (B, 1, H / 16, W / 16).

        Raises:
            ValueError: If the shape is another.
        """
        check_shape("normals", normals, "B", 3, "H", "W")
        return cast(Tensor, self.model(normals))
