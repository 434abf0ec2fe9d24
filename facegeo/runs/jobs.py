"""Jobs of a sweep: checks before anything is begun, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig, ListConfig, OmegaConf

from facegeo.errors import UserError
from facegeo.runs.about import about_faults

JOBS = "jobs"


@dataclass
class Outcome:
    """What became of a job: "done", "done before", "elsewhere", "failed", or a dry run's state."""

    folder: str
    overrides: list[str]
    status: str
    error: str | None = None


def check_job(cfg: DictConfig) -> None:
    """See that a training's seed, study, splits and objective are what such things can be.

    Args:
        cfg: Composed from ``conf/train.yaml``.

    Raises:
        UserError: If one is not.
    """
    if type(cfg.seed) is not int or not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed must be a whole number from 0 to 2^32 - 1, got {cfg.seed!r}")
    about = cfg.about
    plain = OmegaConf.to_container(about, resolve=True) if OmegaConf.is_config(about) else about
    for fault in about_faults(plain).values():
        raise UserError(fault)
    check_measured(cfg)
    objective = cfg.objective
    if objective is None:
        return
    if not str(objective).startswith("val/") or "val" not in cfg.splits:
        raise UserError(
            f"objective={objective} with splits={list(cfg.splits)}: a search must not see the "
            "test faces; wanted a metric such as val/stage2/error_pct, and splits=[val]"
        )
    if cfg.dry_run:
        raise UserError("a search chooses each run by those before: there is no list to show")


def check_measured(cfg: DictConfig) -> None:
    """See that a run or an evaluation says what to measure, and that it is something.

    Raises:
        UserError: If ``splits`` is no list of words, ``also_on`` no data by name, or both empty.
    """
    splits, others = cfg.splits, cfg.get("also_on") or DictConfig({})
    if not isinstance(splits, ListConfig) or not all(isinstance(one, str) for one in splits):
        raise UserError(f"splits must be a list of val and test, such as [val], got {splits}")
    nodes = others.values() if isinstance(others, DictConfig) else [None]
    if not all(isinstance(node, DictConfig) for node in nodes):
        raise UserError(
            f"also_on must be data by name, as +data@also_on.strangers=lfpw gives, got {others}"
        )
    if not (splits or others):
        raise UserError("splits=[] measures nothing: name val, test or both, such as splits=[val]")
