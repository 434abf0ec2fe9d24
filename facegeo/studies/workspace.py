"""The W&B workspace in which the runs of a study are compared, described as code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facegeo.errors import UserError
from facegeo.landmarks.tables import STAGE_COLUMNS
from facegeo.runs.wandb import VARIANT, VARIED, in_one_word, what_differs
from facegeo.studies.comparison import LAST, compare
from facegeo.studies.runs import Study
from facegeo.studies.variants import divide

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import LinePlot, PanelTypes
    from wandb_workspaces.workspaces import Section, Workspace

STAGES, REFINEMENTS = ("stage1", "stage2", "stage3"), ("t0", "t1", "t2", "t3", "t4", "t5")
"""Rows of a study that compares the last of each model, if none has been measured yet."""


@dataclass(frozen=True)
class Compared:
    """The metrics and settings that a workspace shows.

    Attributes:
        name: Of the study: the group of its runs.
        split: First part of the metrics' names.
        measure: Last part of the metrics' names.
        rows: Stages or refinements whose final metrics are shown.
        keys: Settings that it varies, dotted.
        panels: Whether its runs log pictures.
    """

    name: str
    split: str
    measure: str
    rows: tuple[str, ...]
    keys: tuple[str, ...] = ()
    panels: bool = False

    @property
    def of_points(self) -> bool:
        """Whether stages of a cascade are compared, not refinements of normals."""
        return self.measure in STAGE_COLUMNS.values()

    @property
    def metrics(self) -> list[str]:
        """Final metrics that are compared."""
        return [f"{self.split}/{row}/{self.measure}" for row in self.rows]


def compared(whole: Study) -> Compared:
    """Return the rows, metrics and settings that a study's report compares."""
    found = compare(divide([whole])[0])  # of the last command's settings
    jobs = [run.overrides for run in found.study.runs]
    words = (word for job in jobs for word in what_differs(job, jobs))
    keys = dict.fromkeys(word.partition("=")[0].lstrip("+") for word in words)
    about = found.study.about
    measured = dict.fromkeys(row.entry for row in found.rows if row.values)
    rows = tuple(measured or about.get("rows") or [LAST])
    if LAST in rows:
        rows = STAGES if found.measure in STAGE_COLUMNS.values() else REFINEMENTS
    return Compared(
        name=whole.name,
        split=found.split,
        measure=found.measure,
        rows=rows,
        keys=tuple(key for key in keys if key != "seed"),
        panels="panels" in (about.get("plots") or ()),
    )


def workspace(study: Compared, project: str, entity: str = "") -> Workspace:
    """Describe a study's workspace; nothing is sent.

    Runs are grouped by variant: the seeds of a variant are one line with their range.

    Raises:
        UserError: If wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.workspaces as ws
        from wandb_workspaces import expr
    except ImportError as error:
        raise UserError(
            f'push=true needs wandb-workspaces ({error}): pip install "facegeo[dashboard]"'
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


def push(studies: Sequence[Study], project: str, entity: str | None) -> list[str]:
    """Save the workspaces of studies on W&B's server, each as a new view.

    Returns:
        Their addresses.

    Raises:
        UserError: If nobody is logged in, or W&B does not accept them.
    """
    import wandb

    try:
        owner = entity or str(wandb.Api().default_entity)
        views = [workspace(compared(study), project, owner) for study in studies]
        return [str(view.save().url) for view in views]  # type: ignore[no-untyped-call]
    except UserError:
        raise
    except Exception as error:  # of the network, the account, the project
        raise UserError(
            f"W&B does not accept the workspaces ({error}); see `wandb login`, and name "
            "entity= and project="
        ) from error


def _sections(study: Compared) -> list[Section]:
    import wandb_workspaces.reports.v2.interface as wr
    import wandb_workspaces.workspaces as ws

    shown = {metric: wr.SummaryMetric(metric) for metric in study.metrics}
    name, last = next(reversed(shown.items()))
    bars: list[PanelTypes] = [
        wr.BarPlot(
            title=title,
            metrics=[metric],
            groupby=wr.Config(VARIANT),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
        )
        for title, metric in shown.items()
    ]
    bars += [wr.ScalarChart(title=f"{name}, least", metric=last, groupby_aggfunc="min")]
    sections: dict[str, list[PanelTypes]] = {"Final metrics": bars}
    sections["Training curves"] = [_curve(part, curve) for part, curve in _curves(study)]
    if len(study.keys) > 1:
        column = wr.ParallelCoordinatesPlotColumn
        axes = [
            column(metric=wr.Config(f"{VARIED}.{in_one_word(key)}"), display_name=key)
            for key in study.keys
        ]
        parallel = wr.ParallelCoordinatesPlot(columns=[*axes, column(metric=last)])
        sections["Settings and error"] = [parallel]
    if study.panels:
        sections["Pictures"] = [wr.MediaBrowser(media_keys=["panels/faces", "panels/photos"])]
    return [ws.Section(name=name, panels=panels, is_open=True) for name, panels in sections.items()]


def _curves(study: Compared) -> list[tuple[str, str]]:
    """Parts of the training and the metrics that are logged in them."""
    if not study.of_points:
        names = [f"val/{row}/{study.measure}" for row in study.rows]
        return [("fit", name) for name in [*names, "train/loss"]]
    shown = [row.removeprefix("stage") for row in study.rows]  # mean_shape does not train
    last = max((int(number) for number in shown if number.isdigit()), default=len(STAGES))
    names = [f"val/{study.measure}", "train/loss"]
    return [(f"stage{number}", name) for name in names for number in range(1, last + 1)]


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
