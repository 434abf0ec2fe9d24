"""Cumulative error distributions from what the runs kept of each image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from zipfile import BadZipFile

import numpy as np

from facegeo.studies.runs import StudyRun

THRESHOLDS = np.linspace(0.0, 10.0, 101)
"""In % of the box width."""


def ced_curve(
    runs: Sequence[StudyRun], split: str, entry: str
) -> tuple[list[float], list[float]] | None:
    """Share of images at or below each threshold, mean over runs.

    Args:
        runs: With a folder that holds ``<split>_errors.npz``: the mean error of the five points of
            each image, in % of the box width, (N,), by entry. Others are left out.
        split: Such as "test".
        entry: Such as "stage1".

    Returns:
        Thresholds in %, and shares in %; None if no run kept its errors.
    """
    shares = []
    for run in runs:
        errors = _errors(run, split, entry)
        if errors is not None and len(errors):
            shares.append((errors[:, None] <= THRESHOLDS).mean(axis=0))
    if not shares:
        return None
    mean = 100 * np.mean(shares, axis=0)
    return [round(float(x), 3) for x in THRESHOLDS], [round(float(y), 3) for y in mean]


def _errors(run: StudyRun, split: str, entry: str) -> np.ndarray | None:
    file = run.file(split, "errors.npz")
    if file is None:
        return None
    try:
        content = file.read_bytes()
        with np.load(io.BytesIO(content)) as kept:  # given a path, it leaves a torn file open
            return np.asarray(kept[entry], dtype=np.float64)
    except (OSError, KeyError, ValueError, BadZipFile):
        return None
