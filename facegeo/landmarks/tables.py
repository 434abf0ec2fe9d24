"""The table of a cascade's errors: its columns, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping

from facegeo.files.tables import Table

STAGE_COLUMNS = {  # column: the end of its key
    "LE %": "error_LE_pct",
    "RE %": "error_RE_pct",
    "N %": "error_N_pct",
    "LM %": "error_LM_pct",
    "RM %": "error_RM_pct",
    "mean %": "error_pct",
    ">5 %": "fail5_pct",
    ">10 %": "fail10_pct",
    "AUC": "auc10",
}
STAGE_NOTE = (
    "LE, RE, N, LM, RM = left eye, right eye, nose, left mouth corner, right mouth corner, left as "
    "seen in the image; error = mean over images of the distance to the true point / face box "
    "width, in %; mean = mean of the five points; >t % = share of images, in %, whose error of a "
    "point exceeds t %, mean of the five points; AUC = area under the curve of the images' mean "
    "errors from 0 to 10 %, 1 is best."
)


def stage_table(results: Mapping[str, float], split: str = "test", title: str = "") -> Table:
    """Tabulate the errors of a cascade: a row a stage, the mean shape above them if measured.

    Args:
        results: Metrics by name, such as ``test/stage1/error_pct``, ``test/stage1/error_LE_pct``
            and ``test/mean_shape/error_pct``: what ``LandmarkErrors`` returns. Others are ignored.
        split: First part of the names.
        title: Of the table; by default it names the split.

    Returns:
        The table; a quantity that was not measured is a dash.

    Raises:
        ValueError: If no stage of that split is among the names.
    """
    found = {re.match(rf"{re.escape(split)}/stage(\d+)/", name) for name in results}
    stages = sorted({int(match[1]) for match in found if match})
    if not stages:
        raise ValueError(
            f"no name like {split}/stage1/error_pct among {len(results)} results: "
            f"{sorted(results)[:5]}; was the cascade evaluated on this split?"
        )
    labels = (
        {f"{split}/mean_shape/": "mean shape"} if f"{split}/mean_shape/error_pct" in results else {}
    )
    labels |= {f"{split}/stage{stage}/": f"stage {stage}" for stage in stages}
    return Table(
        title=title or f"Landmark errors on the {split} split",
        columns=("", *STAGE_COLUMNS),
        rows=tuple(
            (label, *(results.get(prefix + end) for end in STAGE_COLUMNS.values()))
            for prefix, label in labels.items()
        ),
        note=STAGE_NOTE,
        digits={"AUC": 3},
    )
