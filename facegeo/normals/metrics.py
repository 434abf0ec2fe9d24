"""Errors of predicted normals over a whole split."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from facegeo.checks import check_shape
from facegeo.geometry.normals import angle_map
from facegeo.training.metrics import NamedErrors

THRESHOLDS_DEG = (11.25, 20.0, 22.5, 25.0, 30.0)
AUTHOR_THRESHOLDS_DEG = (20.0, 25.0, 30.0)
BIN_DEG = 0.01
BINS = 18001  # 0.00 to 179.99 degrees; the last one holds 180 and pixels without a direction
AUTHOR_BATCH = 8
AUTHOR_MASK = 0.8


class NormalErrors(NamedErrors):
    """Angles between predicted and true normals, in degrees.

    With e the angle at a pixel (``angle_map``), ``compute`` returns scalars under these names,
    each after ``prefix``. Every mask pixel of every image counts once, however it was batched:

    ======================  ====================================================================
    ``mean_deg``            mean of e over pixels; lower is better
    ``std_deg``             standard deviation of e over pixels (over N, not N - 1)
    ``median_deg``          median of e over pixels, to 0.005: from a histogram of 0.01 wide bins
    ``rmse_deg``            root of the mean of squared e over pixels
    ``lt11.25_pct``         share of pixels with e below 11.25, in %; higher is better. Alike
                            ``lt20_pct``, ``lt22.5_pct``, ``lt25_pct``, ``lt30_pct``
    ``image_mean_deg``      mean over images of the mean of e over the image's pixels
    ``image_std_deg``       standard deviation over images of the same (over N, not N - 1)
    ======================  ====================================================================

    The paper's Table I prints the standard deviation over pixels, its Table III over images.

    A pixel without a direction (predicted or true normal is zero or not finite) is below no
    threshold and counts as 180 degrees for the median; the means and deviations it enters become
    NaN, so that nobody misses it. An image without a pixel in its mask counts nowhere. All are
    NaN if no pixel was seen.

    Args:
        prefix: Put before each name, such as ``"test/t2/"``.
        kwargs: For ``torchmetrics.Metric``.
    """

    pixels: Tensor
    sums: Tensor
    below: Tensor
    histogram: Tensor
    images: Tensor
    image_sums: Tensor

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        sums = {"sums": (2,), "image_sums": (2,)}  # of e and of e squared
        below, histogram = (len(THRESHOLDS_DEG),), (BINS,)
        counts = {"pixels": (), "below": below, "histogram": histogram, "images": ()}
        super().__init__(prefix, sums, counts, **kwargs)

    def update(self, pred: Tensor, target: Tensor, mask: Tensor) -> None:
        """Add one batch.

        Args:
            pred: Predicted normals, any length, shape (B, 3, H, W).
            target: True normals, same shape and frame, unit vectors inside the mask.
            mask: Face pixels, bool, shape (B, 1, H, W).

        Raises:
            ValueError: If the shapes do not belong together.
        """
        angles = _angles(pred, target, mask)
        inside = angles[mask]
        self.pixels += inside.numel()
        self.sums += torch.stack([inside.sum(), inside.square().sum()])
        self.below += (inside[:, None] < inside.new_tensor(THRESHOLDS_DEG)).sum(dim=0)
        place = (inside.nan_to_num(nan=180) / BIN_DEG).long()
        self.histogram += torch.bincount(place, minlength=BINS)
        counts = mask.sum(dim=(1, 2, 3))
        seen = counts > 0
        means = angles.where(mask, 0).sum(dim=(1, 2, 3))[seen] / counts[seen]
        self.images += seen.sum()
        self.image_sums += torch.stack([means.sum(), means.square().sum()])

    def compute(self) -> dict[str, Tensor]:
        """Return the scalars named in the class, each of shape (), float32."""
        mean, std, square = _moments(self.sums, self.pixels)
        values = {"mean_deg": mean, "std_deg": std, "rmse_deg": square.sqrt()}
        values["median_deg"] = self._median()
        values |= _shares(THRESHOLDS_DEG, self.below, self.pixels)
        image_mean, image_std, _ = _moments(self.image_sums, self.images)
        values |= {"image_mean_deg": image_mean, "image_std_deg": image_std}
        return self.named(values)

    def _median(self) -> Tensor:
        """Middle of the bin of the middle pixel; of two middle pixels, their mean."""
        if self.pixels == 0:
            return self.sums.new_tensor(torch.nan)
        ranks = torch.stack([(self.pixels + 1) // 2, self.pixels // 2 + 1])
        bins = torch.searchsorted(self.histogram.cumsum(dim=0), ranks)
        return ((bins + 0.5) * BIN_DEG).clamp(max=180).double().mean()


class AuthorErrors(NamedErrors):
    """Errors as the published tools of CFFN, HFFNE and Cas-FNE average them (``author_compat``).

    Pixels of 8 images, in the order seen, are pooled into one mean, deviation and share; these
    are averaged over the groups of 8, the last of which may be smaller. Loader batches do not
    matter. Values differ from ``NormalErrors`` where faces are of unlike size.

    ``compute`` returns ``mean_deg``, ``std_deg``, ``lt20_pct``, ``lt25_pct``, ``lt30_pct``, each
    after ``prefix``. Pixels without a direction count as in ``NormalErrors``; a group without a
    pixel counts nowhere. With several processes the order is that of the first, then of the
    second and so on. The angle is ours (atan2): theirs, arccos(d / (1 + 1e-6)), reads 0.08
    degrees for a perfect pixel and agrees to 0.001 above 4 degrees.

    Args:
        prefix: Put before each name, such as ``"test/t2/author_compat/"``.
        kwargs: For ``torchmetrics.Metric``.
    """

    faces: list[Tensor]

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(prefix, {}, {}, **kwargs)
        # A row an image: pixels, sum of e, of e squared, pixels below each threshold; float64.
        self.add_state("faces", [], dist_reduce_fx="cat")

    def update(self, pred: Tensor, target: Tensor, mask: Tensor) -> None:
        """Add one batch; shapes and frame as in ``NormalErrors.update``.

        ``mask`` may be float in [0, 1] as resized: values above 0.8 count.
        """
        inside = mask > AUTHOR_MASK
        angles = _angles(pred, target, inside)
        parts = [inside, angles, angles.square(), *(angles < t for t in AUTHOR_THRESHOLDS_DEG)]
        sums = [part.double().where(inside, 0).sum(dim=(1, 2, 3)) for part in parts]
        self.faces.append(torch.stack(sums, dim=1))

    def compute(self) -> dict[str, Tensor]:
        """Return the scalars named in the class, each of shape (), float32."""
        empty = torch.zeros(0, 3 + len(AUTHOR_THRESHOLDS_DEG), dtype=torch.float64)
        faces = dim_zero_cat(self.faces) if len(self.faces) else empty.to(self.device)
        groups = torch.stack([group.sum(dim=0) for group in faces.split(AUTHOR_BATCH)])
        groups = groups[groups[:, 0] > 0]
        mean, std, _ = _moments(groups[:, 1:3].T, groups[:, 0])
        values = {"mean_deg": mean, "std_deg": std}
        values |= _shares(AUTHOR_THRESHOLDS_DEG, groups[:, 3:].T, groups[:, 0])
        return self.named({name: value.mean() for name, value in values.items()})


def _angles(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Angles in degrees, float64, (B, 1, H, W), of checked shapes."""
    sizes: dict[str, int] = {}
    check_shape("pred", pred, "B", 3, "H", "W", sizes=sizes)
    check_shape("target", target, "B", 3, "H", "W", sizes=sizes)
    check_shape("mask", mask, "B", 1, "H", "W", sizes=sizes)
    return angle_map(pred, target).double()


def _moments(sums: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and mean square from the sums of values and of their squares."""
    mean, square = sums / count
    return mean, (square - mean**2).clamp(min=0).sqrt(), square


def _shares(thresholds: tuple[float, ...], below: Tensor, count: Tensor) -> dict[str, Tensor]:
    shares = 100 * below.double() / count
    return {f"lt{limit:g}_pct": share for limit, share in zip(thresholds, shares, strict=True)}
