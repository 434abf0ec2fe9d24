from pathlib import Path

import numpy as np
import torch

from facegeo.landmarks.evaluate import Found, keep_errors


def test_the_mean_error_of_each_image_is_kept_by_stage(tmp_path: Path) -> None:
    target = torch.zeros(2, 5, 2)
    found = torch.zeros(2, 2, 5, 2)
    found[0, 0, :, 0] = 3.0  # 3 px of 100: 3 %
    found[1, 0, 0, 1] = 10.0  # 10 px of 200 at one point of five: 1 %
    found[1, 1] = torch.nan
    size = torch.tensor([[100.0, 50.0], [200.0, 50.0]])
    keep_errors(tmp_path / "test_errors.npz", Found(found, target, size, torch.arange(2)))
    with np.load(tmp_path / "test_errors.npz") as kept:
        assert kept["stage1"].dtype == np.float32
        np.testing.assert_allclose(kept["stage1"], [3.0, 1.0])
        np.testing.assert_equal(kept["stage2"], np.array([0.0, np.nan], np.float32))
