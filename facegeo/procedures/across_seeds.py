"""The same training with several seeds as one table and one figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from facegeo.errors import UserError
from facegeo.figures.stages import stage_plot
from facegeo.geometry.points import POINT_NAMES
from facegeo.settings import with_effect
from facegeo.tables import STAGE_COLUMNS, STAGE_NOTE, Table


def read_runs(folders: Sequence[Path]) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """Configuration and metrics of finished runs that differ in their seed alone.

    Raises:
        UserError: If a folder holds no finished run, two have one seed, or settings differ.
    """
    if not folders:
        raise UserError("runs must name at least one run folder, got none: runs=[FOLDER,FOLDER]")
    runs = []
    for folder in folders:
        try:
            config = json.loads((folder / "config.json").read_text())
            metrics = json.loads((folder / "metrics.json").read_text())
        except (OSError, ValueError) as error:
            raise UserError(
                f"{folder} holds no finished run ({error}); name folders that facegeo-train "
                "finished, as runs=[FOLDER,FOLDER]"
            ) from error
        runs.append((config, metrics))
    kept = [_without_seed(config) for config, _ in runs]
    for folder, config in zip(folders, kept, strict=True):
        differs = sorted(key for key in kept[0] | config if kept[0].get(key) != config.get(key))
        if differs:
            raise UserError(
                f"{folder} is not the training of {folders[0]}: {', '.join(differs)} differ; "
                "compare runs that differ in their seed alone"
            )
    seeds = [config["seed"] for config, _ in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"the runs' seeds are {seeds}; name each seed once")
    return runs


def seeds_table(
    metrics: Sequence[Mapping[str, float]], split: str, paper: Mapping[str, float]
) -> Table:
    """A row a stage: means over the seeds, spread of the mean error, the paper's number.

    Args:
        metrics: What each seed's run measured.
        split: "val" or "test".
        paper: The paper's average by stage, in %.
    """
    measured = (name.split("/") for name in metrics[0])
    stages = sorted({part[1] for part in measured if part[0] == split and "stage" in part[1]})
    rows = []
    for stage in stages:
        values = torch.tensor(
            [[one[f"{split}/{stage}/{end}"] for end in STAGE_COLUMNS.values()] for one in metrics],
            dtype=torch.float64,
        )
        errors = values[:, list(STAGE_COLUMNS).index("mean %")]
        spread = errors.std().item() if len(errors) > 1 else None
        rows.append((stage, *values.mean(dim=0).tolist(), spread, paper.get(stage)))
    return Table(
        title=f"Landmark errors on the {split} split, mean of {len(metrics)} seeds",
        columns=("", *STAGE_COLUMNS, "+-", "paper"),
        rows=tuple(rows),
        note=f"{STAGE_NOTE} +- = standard deviation of mean % over the seeds; paper = its mean %.",
        digits={"AUC": 3, "+-": 3},
    )


def compare_seeds(
    folders: Sequence[Path], split: str, out: Path, title: str, paper: Mapping[str, float]
) -> Table:
    """Write ``out.csv``, ``out.md`` and ``out.png`` for runs that differ in their seed.

    Raises:
        UserError: As ``read_runs``.
    """
    metrics = [found for _, found in read_runs(folders)]
    for folder, one in zip(folders, metrics, strict=True):
        if not any(name.startswith(f"{split}/stage") for name in one):
            raise UserError(f"{folder} did not measure {split}; run it with splits=[{split}]")
    table = seeds_table(metrics, split, paper)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_name(f"{out.name}.csv").write_text(table.csv())
    out.with_name(f"{out.name}.md").write_text(table.markdown())
    errors = {
        str(row[0]): torch.tensor(
            [[one[f"{split}/{row[0]}/error_{p}_pct"] for p in POINT_NAMES] for one in metrics]
        )
        for row in table.rows
    }
    beside = {stage: value for stage, value in paper.items() if stage in errors}
    stage_plot(out.with_name(f"{out.name}.png"), errors, title, beside)
    return table


def _without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that matter but for the seed, which also stands where it is pointed to."""
    settings = with_effect(config)
    return {key: value for key, value in settings.items() if key.split(".")[-1] != "seed"}
