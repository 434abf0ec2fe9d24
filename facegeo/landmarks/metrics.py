"""Errors of found face points over a whole split."""

from typing import Any

import torch
from torch import Tensor

from facegeo.geometry.windows import POINT_NAMES, point_errors
from facegeo.training.metrics import NamedErrors

FAILURE_PCT = (5, 10)
CURVE_END_PCT = 10.0
CURVE_POINTS = 1001  # thresholds 0.00, 0.01, ... 10.00 %


class LandmarkErrors(NamedErrors):
    """Errors of five points over all images seen; every image counts once.

    With e[j, k] the distance of point k of image j from the truth over the width of the image's
    given face box (``point_errors``), ``compute`` returns scalars under these names, each after
    ``prefix``. ``XX`` runs over LE, RE, N, LM, RM.

    ======================  =====================================================================
    ``error_XX_pct``        mean of e over images, in % of the box width; lower is better
    ``error_pct``           mean of the five above: the number to compare with the paper
    ``fail5_XX_pct``        share of images with e above 5 % of the width, in %; ``fail10`` alike
    ``fail5_pct``           mean of the five above; ``fail10_pct`` alike
    ``auc10``               area under the CED curve from 0 to 10 %, over 10 %: in [0, 1], 1 best.
                            Per image the error is the mean of its five points. Exact, not binned
    ``nme_interocular_pct`` mean over images and points of distance / distance of the true eyes
    ======================  =====================================================================

    A point that is not finite counts as a failure at both thresholds and puts its image beyond
    the end of the CED curve; the means it enters become NaN, so that nobody misses it. All are
    NaN if no image was seen, the last one also if the true eyes of a face coincide.

    Lightning logs a dict by ``self.log_dict(metric.compute())`` at the end of the epoch, with
    ``metric.reset()`` after it; the metric reduces itself across processes.

    Args:
        prefix: Put before each name, such as ``"test/stage1/"``.
        kwargs: For ``torchmetrics.Metric``.
    """

    images: Tensor
    errors: Tensor
    failures: Tensor
    area: Tensor
    interocular: Tensor
    curve: Tensor

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        points, thresholds = len(POINT_NAMES), len(FAILURE_PCT)
        sums = {"errors": (points,), "area": (), "interocular": ()}
        curve = (CURVE_POINTS + 1,)  # the last one holds all beyond the end
        counts = {"images": (), "failures": (thresholds, points), "curve": curve}
        super().__init__(prefix, sums, counts, **kwargs)

    def update(self, pred: Tensor, target: Tensor, width: Tensor) -> None:
        """Add one batch.

        Args:
            pred: Points found, pixels, shape (B, 5, 2); any origin that ``target`` shares.
            target: True points, same shape and frame.
            width: Width of the given face boxes, pixels, shape (B,).

        Raises:
            ValueError: If the three shapes do not belong together.
        """
        pred, target, width = pred.double(), target.double(), width.double()
        percent = 100 * point_errors(pred, target, width)
        self.images += len(percent)
        self.errors += percent.sum(dim=0)
        limits = percent.new_tensor(FAILURE_PCT)[:, None, None]
        self.failures += (~(percent <= limits)).sum(dim=1)
        image = percent.mean(dim=1).nan_to_num(nan=torch.inf)
        self.area += (1 - image / CURVE_END_PCT).clamp(min=0).sum()
        place = torch.bucketize(image, _thresholds(image.device))
        self.curve += torch.bincount(place, minlength=CURVE_POINTS + 1)
        eyes = torch.linalg.vector_norm(target[:, 1] - target[:, 0], dim=1)
        self.interocular += 100 * point_errors(pred, target, eyes).mean(dim=1).sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the scalars named in the class, each of shape (), float32."""
        errors = self.errors / self.images
        values = {"error_pct": errors.mean()} | _named("error", errors)
        for limit, failures in zip(FAILURE_PCT, self.failures, strict=True):
            shares = 100 * failures.double() / self.images
            values |= {f"fail{limit}_pct": shares.mean()} | _named(f"fail{limit}", shares)
        values["auc10"] = self.area / self.images
        values["nme_interocular_pct"] = self.interocular / self.images
        return self.named(values)

    def ced_curve(self) -> tuple[Tensor, Tensor]:
        """Return the cumulative error distribution of the images seen, by all processes.

        Returns:
            Thresholds in % of the box width, 0 to 10 in steps of 0.01, shape (1001,), and the
            share of images whose mean error is at or below each, in [0, 1], same shape; NaN if
            no image was seen.
        """
        with self.sync_context(should_sync=self._to_sync, should_unsync=self._should_unsync):
            shares = self.curve[:-1].cumsum(dim=0).double() / self.images
        return _thresholds(shares.device), shares


def _thresholds(device: torch.device) -> Tensor:
    steps = torch.arange(CURVE_POINTS, dtype=torch.float64, device=device)
    return steps * CURVE_END_PCT / (CURVE_POINTS - 1)


def _named(quantity: str, values: Tensor) -> dict[str, Tensor]:
    names = (f"{quantity}_{point}_pct" for point in POINT_NAMES)
    return dict(zip(names, values.unbind(), strict=True))
