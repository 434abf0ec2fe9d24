"""Table, numbers and pictures at the end of a training or an evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from facegeo.data.lfpw import LFPWDataModule
from facegeo.models.ccnn import Cascade
from facegeo.procedures.evaluate import find_points, measure


def report(
    cascade: Cascade, data: LFPWDataModule, folder: Path, splits: Sequence[str]
) -> dict[str, float]:
    """Measure a cascade on the held-out and the test faces; write and show what came out."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    results: dict[str, float] = {}
    for split in splits:
        found = find_points(cascade, data, split, device)
        results |= measure(found, split)
    (folder / "metrics.json").write_text(json.dumps(results, indent=2))
    return results
