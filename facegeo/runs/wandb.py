"""Logging to W&B: configs, summaries, names and curves of runs."""

from __future__ import annotations

import json
import logging
import math
import secrets
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from facegeo.errors import UserError
from facegeo.files.writing import write_whole
from facegeo.runs.plan import read_planned

if TYPE_CHECKING:
    from wandb import Run

AS_JSON = "as_json"
"""Key of a W&B config that holds all others as JSON text."""
VARIANT = "variant"
"""Key of the settings that a run's study varies, without the seed, as text: to group runs by."""
VARIED = "varied"
"""Key of the same settings one by one, for the axes of plots."""
LONGEST_TAG, LONGEST_NAME = 64, 128  # of W&B's server


def to_config(values: Mapping[str, Any], differs: Sequence[str] = ()) -> dict[str, Any]:
    """Plain settings as a W&B config, which drops empty mappings and mixes old with new.

    Args:
        values: Settings, with the job's record under ``record``.
        differs: Overrides of the job that not all jobs of its study have, as ``key=value``.
    """
    text = json.dumps(values)
    varied = dict(word.split("=", 1) for word in differs if not word.startswith("seed="))
    added = {
        AS_JSON: text,
        VARIANT: " ".join(f"{key}={value}" for key, value in varied.items()) or "as configured",
        VARIED: {in_one_word(key): _number_or_text(value) for key, value in varied.items()},
    }
    return {**json.loads(text), **added}


def from_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from a W&B config; empty if facegeo did not write it."""
    return cast(dict[str, Any], json.loads(config.get(AS_JSON, "{}")))


def to_summary(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Metrics as a W&B summary; NaN and infinity, which JSON lacks, as their names."""
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    return {
        name: value if math.isfinite(value) else names.get(value, "NaN")
        for name, value in metrics.items()
    }


def from_summary(summary: Mapping[str, Any]) -> dict[str, float]:
    """Metrics from a W&B summary, without pictures and W&B's own entries."""
    names = ("NaN", "Infinity", "-Infinity")
    return {
        name: float(value)
        for name, value in summary.items()
        if name[:1] != "_" and (isinstance(value, int | float) or value in names)
    }


def in_one_word(key: str) -> str:
    """A dotted key in a form that W&B does not split."""
    return key.lstrip("+").replace(".", "/")


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def what_differs(job: Sequence[str], jobs: Sequence[Sequence[str]]) -> list[str]:
    """Overrides of a job that not all jobs have."""
    return [word for word in job if not all(word in other for other in jobs)]


def distinguishing(folder: Path) -> list[str]:
    """Overrides that distinguish the job in ``folder`` among those planned with it."""
    own = next(iter(read_planned(folder)), None)
    if own is None:
        return []
    planned = (one for other in folder.parent.iterdir() for one in read_planned(other))
    jobs = [one.overrides for one in planned if one.base == own.base and one.trials is None]
    return what_differs(own.overrides, jobs)


def tags(config: Mapping[str, Any]) -> list[str]:
    """Paper and table, from ``about.source``: "CCNN, Fig. 6" gives two."""
    source = (config.get("about") or {}).get("source") or ""
    return [word.strip()[:LONGEST_TAG] for word in str(source).split(",") if word.strip()]


log = logging.getLogger(__name__)
Mode = Literal["offline", "online", "disabled"]
MODES = ("offline", "online", "disabled")
INIT_TIMEOUT_S = 30.0
FINISH_TIMEOUT_S = 120.0
"""After these W&B stops waiting; data that were not sent are on disk, for ``wandb sync``."""


class WandbRun(Logger):
    """Curves, pictures, settings and results of one job, however many trainers it builds.

    The first value that is logged opens the run. Its group is the study, its job type the
    experiment, its tags come from ``about.source``, its name from the overrides that distinguish
    it. A job that is resumed after it was killed resumes the same run, whose id is in
    ``wandb/id``. Its summary holds the final metrics only, no curves.

    Errors of W&B or of the network do not stop the job: the first one is logged as a warning.

    Args:
        save_dir: The job's folder; W&B's files go to ``wandb`` in it.
        project: W&B project.
        entity: W&B user or team; None: who is logged in.
        mode: "offline" only writes files, "online" sends them too, "disabled" does nothing.

    Attributes:
        part: The part that is being trained, such as "stage1": first part of the curves' names,
            with its own count of batches.

    Raises:
        UserError: If the mode is unknown.
    """

    def __init__(
        self,
        save_dir: str | Path,
        project: str,
        entity: str | None = None,
        mode: str = "offline",
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise UserError(
                f"wandb.mode must be one of {', '.join(MODES)}, got {mode!r}; set it, or the "
                "environment variable WANDB_MODE"
            )
        self.part = "fit"
        self._folder, self._project, self._entity = Path(save_dir), project, entity
        self._mode = cast(Mode, mode)
        self._config: dict[str, Any] = {}
        self._run: Run | None = None
        self._failed = self._copied = False
        self._parts: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a process that Lightning spawns, which opens the run for itself."""
        return self.__dict__ | {"_run": None, "_parts": set(), "_copied": True}

    @property
    def name(self) -> str:
        """W&B project."""
        return self._project

    @property
    def version(self) -> str | None:
        """Id of the W&B run, once it was opened."""
        path = self._folder / "wandb" / "id"
        return path.read_text() if path.is_file() else None

    @property
    def address(self) -> str | None:
        """Address of the run's page (opens the run), or the id of an offline run."""
        if not self._silent:
            with self._harmless():
                self._open()
        if self._run is None:
            return None
        return self.version if self._run.offline else str(self._run.url)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Keep the run's config; ``record`` in it is the job's record."""
        self._config |= dict(params if isinstance(params, Mapping) else vars(params))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a point of each curve, at batch ``step`` of this part."""
        if self._silent:
            return
        with self._harmless():
            run, axis = self._open(), f"{self.part}/batch"
            if self.part not in self._parts:
                run.define_metric(axis, hidden=True, summary="none")
                run.define_metric(f"{self.part}/*", step_metric=axis, summary="none")
                self._parts.add(self.part)
            curves = {k: v for k, v in metrics.items() if k != "epoch"}  # a training is one epoch
            # W&B splits names at dots: the rule above would not hold for "lt11.25_pct".
            point = {f"{self.part}/{k.replace('.', '_')}": v for k, v in curves.items()}
            run.log(point if step is None else point | {axis: step})

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[str]) -> None:
        """Log picture files."""
        if self._silent:
            return
        with self._harmless():
            import wandb

            self._open().log({key: [wandb.Image(image) for image in images]})

    @rank_zero_only
    def close(self, metrics: Mapping[str, float], record: Mapping[str, Any], status: str) -> None:
        """Write final metrics and the job's record, and end the run; all but "done" has failed."""
        if not self._silent:
            with self._harmless():
                run = self._open()
                self._config |= {"record": dict(record)}
                self._describe(run)
                run.summary.update(to_summary(metrics))
        self._finish(status == "done")

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the run in a process that Lightning spawned; the job's own process continues."""
        if self._copied:
            self._finish(status == "success")

    def _finish(self, well: bool) -> None:
        if self._run is not None:
            with self._harmless():
                self._run.finish(exit_code=0 if well else 1)
        self._run, self._parts = None, set()

    @property
    def _silent(self) -> bool:
        return self._failed or self._mode == "disabled"

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self._failed:
                log.warning("W&B failed (%r); the job continues without it", error)
            self._failed = True

    def _open(self) -> Run:
        if self._run is None:
            self._run = self._init()
            self._describe(self._run)
            kept = Path(self._run.dir).parent
            log.info("W&B run: %s", kept if self._run.offline else self._run.url)
        return self._run

    def _describe(self, run: Run) -> None:
        config = to_config(self._config, distinguishing(self._folder))
        run.config.update(config, allow_val_change=True)  # type: ignore[no-untyped-call]

    def _init(self) -> Run:
        import wandb

        if self._mode == "offline":
            return self._start("offline")
        try:
            if wandb.login(prompt=False, verify=False):  # it would ask, and wait for an answer
                return self._start("online")
            reason = "nobody is logged in, see `wandb login`"
        except Exception as error:
            reason = str(error).partition("\n")[0]
            wandb.teardown()  # else the id stays in use by the attempt
        kept = self._folder / "wandb"
        log.warning("W&B cannot be reached (%s): run kept in %s for `wandb sync`", reason, kept)
        return self._start("offline")

    def _start(self, mode: Mode) -> Run:
        import wandb

        if self.version is None:  # not made of the folder: W&B refuses the id of a deleted run
            write_whole(self._folder / "wandb" / "id", secrets.token_hex(4))
        settings = wandb.Settings(
            init_timeout=INIT_TIMEOUT_S,
            finish_timeout=FINISH_TIMEOUT_S,
            finish_timeout_raises=True,
            reinit="create_new",  # another run in this process may still be open
            console="off",
            disable_git=True,  # the record has it
            disable_code=True,
            silent=True,  # the warnings that matter are logged here
        )
        return wandb.init(
            project=self._project,
            entity=self._entity,
            mode=mode,
            dir=str(self._folder),
            id=self.version,
            resume="allow",
            group=self._config.get("study"),
            job_type=(self._config.get("record") or {}).get("experiment"),
            tags=tags(self._config),
            name=(" ".join(distinguishing(self._folder)) or self._folder.name)[:LONGEST_NAME],
            settings=settings,
        )


class JobLogs:
    """Builds a job's loggers, each from ``save_dir``, and ends them with the job's results."""

    def __init__(
        self, makers: Mapping[str, Callable[..., Logger]], folder: Path, config: Mapping[str, Any]
    ) -> None:
        self._folder, self._config = folder, dict(config)
        self._makers = dict(makers)
        self._wandb: WandbRun | None = None
        for name, make in makers.items():
            if getattr(make, "func", make) is WandbRun:
                self._wandb = self._makers.pop(name)(save_dir=folder)  # type: ignore[assignment]

    @property
    def address(self) -> str | None:
        """Address of the W&B run, if there is one."""
        return self._wandb.address if self._wandb else None

    def begin(self, record: Mapping[str, Any]) -> None:
        """Give W&B the job's config, before anything is logged."""
        if self._wandb:
            self._wandb.log_hyperparams(self._config | {"record": dict(record)})

    def of_trainer(self, part: str = "fit") -> list[Logger]:
        """Loggers for one trainer, which trains ``part``."""
        loggers: list[Logger] = [make(save_dir=self._folder) for make in self._makers.values()]
        for logger in loggers:
            logger.log_hyperparams(self._config)
        if self._wandb:
            self._wandb.part = part
            loggers.append(self._wandb)
        return loggers

    def measured(self, metrics: Mapping[str, float]) -> None:
        """Log the numbers of an evaluation, which has no trainer, to all loggers but W&B's."""
        for make in self._makers.values():
            logger = make(save_dir=self._folder)
            logger.log_metrics(dict(metrics))
            logger.finalize("success")

    def close(self, metrics: Mapping[str, float], record: Mapping[str, Any], status: str) -> None:
        """End the W&B run with final metrics, the pictures in the folder and the record."""
        if self._wandb:
            pictures = sorted(self._folder.rglob("*.png")) if metrics else []
            shown = {"panels", "wandb"}  # logged while it trained; W&B's own copies
            for picture in pictures:
                if picture.relative_to(self._folder).parts[0] not in shown:
                    self._wandb.log_image(picture.stem, [str(picture)])
            self._wandb.close(metrics, record, status)
