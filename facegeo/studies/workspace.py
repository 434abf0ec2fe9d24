"""The W&B workspace in which the runs of a study are compared, as code."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from facegeo.errors import UserError
from facegeo.files.tables import STAGE_COLUMNS
from facegeo.runs.wandb import VARIANT, VARIED, in_one_word

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import LinePlot, PanelTypes
    from wandb_workspaces.workspaces import Section, Workspace

LAST = "last"
STAGES, REFINEMENTS = ("stage1", "stage2", "stage3"), ("t0", "t1", "t2", "t3", "t4", "t5")
"""Rows of a study that compares the last of each model, whichever that is."""


@dataclass(frozen=True)
class Compared:
    """What a study compares.

    Attributes:
        name: Of the study: the group of its runs.
        about: ``rows``, ``measure``, ``split``, ``plots`` as in ``conf/ablation``.
        keys: Settings that it varies, dotted.
    """

    name: str
    about: Mapping[str, Any]
    keys: tuple[str, ...]

    @property
    def measure(self) -> str:
        """End of the name of the metric to compare."""
        return str(self.about["measure"])

    @property
    def of_points(self) -> bool:
        """Whether stages of a cascade are compared, not refinements of normals."""
        return self.measure in STAGE_COLUMNS.values()

    @property
    def rows(self) -> tuple[str, ...]:
        """Stages or refinements whose final metrics are shown."""
        rows = tuple(self.about.get("rows") or [LAST])
        if LAST not in rows:
            return rows
        return STAGES if self.of_points else REFINEMENTS

    @property
    def metrics(self) -> list[str]:
        """Final metrics that are compared."""
        return [f"{self.about['split']}/{row}/{self.measure}" for row in self.rows]


def workspace(study: Compared, project: str, entity: str = "") -> Workspace:
    """Describe a study's workspace; nothing is sent.

    Runs are grouped by variant: the seeds of a variant are one line, with what they span.

    Raises:
        UserError: If wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.workspaces as ws
        from wandb_workspaces import expr
    except ImportError as error:
        raise UserError(
            f'dashboards need wandb-workspaces ({error}): pip install "facegeo[dashboard]"'
        ) from error
    runs = ws.RunsetSettings(
        filters=expr.And(expr.Metric("Group") == study.name),
        groupby=[expr.Config(VARIANT)],
        pinned_columns=[
            f"config:{VARIANT}",
            "config:seed",
            *(f"summary:{metric}" for metric in study.metrics),
        ],
    )
    return ws.Workspace(
        entity=entity,
        project=project,
        name=study.name,
        sections=_sections(study),
        settings=ws.WorkspaceSettings(max_runs=100),
        runset_settings=runs,
    )


def as_json(built: Workspace) -> dict[str, Any]:
    """What W&B would be sent, with panels numbered where they have random ids."""
    numbers = itertools.count(1)

    def numbered(node: dict[str, Any]) -> dict[str, Any]:
        return node | {"__id__": f"panel{next(numbers)}"} if "__id__" in node else node

    text = built._to_model().model_dump_json(by_alias=True, exclude_none=True)
    plain: dict[str, Any] = json.loads(text, object_hook=numbered)
    return plain


def push(studies: Sequence[Compared], project: str, entity: str | None) -> list[str]:
    """Save the workspaces of studies on W&B's server, each as a new view.

    Returns:
        Their addresses.

    Raises:
        UserError: If nobody is logged in, or W&B does not take them.
    """
    import wandb

    try:
        owner = entity or str(wandb.Api().default_entity)
        views = [workspace(study, project, owner) for study in studies]
        return [str(view.save().url) for view in views]  # type: ignore[no-untyped-call]
    except UserError:
        raise
    except Exception as error:  # of the network, the account, the project
        raise UserError(
            f"W&B does not take the workspaces ({error}); see `wandb login`, and name entity= and "
            "project="
        ) from error


def _sections(study: Compared) -> list[Section]:
    import wandb_workspaces.workspaces as ws

    sections = {"Final metrics": _bars(study), "While they learn": _curves(study)}
    if len(study.keys) > 1:
        sections["What was varied"] = _parallel(study)
    if "panels" in (study.about.get("plots") or ()):
        import wandb_workspaces.reports.v2.interface as wr

        sections["Pictures"] = [wr.MediaBrowser(media_keys=["panels/faces", "panels/photos"])]
    return [ws.Section(name=name, panels=panels, is_open=True) for name, panels in sections.items()]


def _bars(study: Compared) -> list[PanelTypes]:
    import wandb_workspaces.reports.v2.interface as wr

    shown = [(metric, wr.SummaryMetric(metric)) for metric in study.metrics]
    bars: list[PanelTypes] = [
        wr.BarPlot(
            title=name,
            metrics=[metric],
            groupby=wr.Config(VARIANT),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
        )
        for name, metric in shown
    ]
    name, metric = shown[-1]
    least = wr.ScalarChart(title=f"{name}, least", metric=metric, groupby_aggfunc="min")
    return [*bars, least]


def _curves(study: Compared) -> list[PanelTypes]:
    if not study.of_points:
        names = [f"val/{row}/{study.measure}" for row in study.rows]
        return [_curve("fit", name) for name in [*names, "train/loss"]]
    shown = [row.removeprefix("stage") for row in study.rows]  # others, as mean_shape, learn not
    last = max((int(number) for number in shown if number.isdigit()), default=len(STAGES))
    stages = [f"stage{number}" for number in range(1, last + 1)]
    names = [f"val/{study.measure}", "train/loss"]
    return [_curve(stage, name) for name in names for stage in stages]


def _curve(part: str, name: str) -> LinePlot:
    import wandb_workspaces.reports.v2.interface as wr

    logged = f"{part}/{name.replace('.', '_')}"  # as WandbRun does
    return wr.LinePlot(
        title=logged,
        x=f"{part}/batch",
        y=[logged],
        groupby=wr.Config(VARIANT),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
    )


def _parallel(study: Compared) -> list[PanelTypes]:
    import wandb_workspaces.reports.v2.interface as wr

    columns = [
        wr.ParallelCoordinatesPlotColumn(
            metric=wr.Config(f"{VARIED}.{in_one_word(key)}"), display_name=key
        )
        for key in study.keys
    ]
    end = wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(study.metrics[-1]))
    return [wr.ParallelCoordinatesPlot(columns=[*columns, end])]
