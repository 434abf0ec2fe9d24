"""Directions of lamps from the angles that databases give."""

import torch

from facegeo.normals.photometric_stereo import flash_directions


def test_flashes_at_known_angles() -> None:
    azimuth, elevation = torch.tensor([0, 90, -90, 0, 45]), torch.tensor([0, 0, 0, 90, 0])
    slant = 0.5**0.5
    wanted = [[0, 0, 1], [-1, 0, 0], [1, 0, 0], [0, 1, 0], [-slant, 0, slant]]
    got = flash_directions(azimuth, elevation)
    torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64))
