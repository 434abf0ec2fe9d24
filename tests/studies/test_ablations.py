"""Every study of conf/ablation: composes, says what it costs, and compares what it says."""

import re
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from facegeo.files.shipped import conf_dir
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.tables import STAGE_COLUMNS
from facegeo.normals.data import NormalDataModule
from facegeo.normals.tables import NORMAL_COLUMNS
from facegeo.runs.folder import config_hash, plain
from facegeo.runs.reuse import weight_keys
from facegeo.studies.comparison import Comparison, compare
from facegeo.studies.plots import study_plots
from facegeo.studies.runs import StudyRun, make_study

ABLATIONS = conf_dir() / "ablation"
NAMES = sorted(
    str(path.relative_to(ABLATIONS).with_suffix("")) for path in ABLATIONS.rglob("*.yaml")
)
SEARCHES = {"ccnn/window_search"}  # what they run is drawn, not listed
SWEPT = sorted(set(NAMES) - SEARCHES)
ENDS = {*STAGE_COLUMNS.values(), *NORMAL_COLUMNS.values()}
GROUPS = {"experiment", "model"}
NOT_TRAINED = {"CBE", "BNN"}  # rows of the papers' tables that no study has
LAST = {"ccnn": ("stage1", "stage2", "stage3"), "casfne": ("t0", "t1", "t2")}

GIVEN = {  # by the user, for studies whose name begins so
    "ablation=casfne/out_of_distribution": "also_on.strangers.root=DIR",
    "ablation=casfne/people/": "data.root=DIR",
}

Job = tuple[str, ...]


@cache
def composed(*overrides: str) -> DictConfig:
    given = [GIVEN[start] for word in overrides for start in GIVEN if word.startswith(start)]
    words = [*overrides, *given]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("train", words, return_hydra_config=True)


def settings(*overrides: str) -> DictConfig:
    """The config of one job, without Hydra's own."""
    return OmegaConf.masked_copy(
        composed(*overrides), [k for k in composed(*overrides) if k != "hydra"]
    )


@cache
def jobs(name: str, *overrides: str) -> tuple[Job, ...]:
    """Overrides of each job, as Hydra's sweeper expands them."""
    params = composed(f"ablation={name}").hydra.sweeper.params
    given = [f"{key}={value}" for key, value in params.items()] + list(overrides)
    (batch,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(given), None)
    return tuple(tuple(job) for job in batch)


def job_config(name: str, job: Job) -> DictConfig:
    """The config of a job; only a choice of a group is composed anew, which takes long."""
    chosen = [word for word in job if word.split("=")[0] in GROUPS]
    config = deepcopy(settings(f"ablation={name}", *chosen))
    for override in OverridesParser.create().parse_overrides(list(job)):
        if override.key_or_group not in GROUPS:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    return config


def finished(name: str, job: Job) -> StudyRun:
    """A run that measured all that a run of this job measures."""
    config = plain(job_config(name, job))
    about = config["about"]
    own = LAST[name.split("/")[0]]
    entries = [entry for row in about["rows"] for entry in (own if row == "last" else (row,))]
    return StudyRun(
        study=name,
        experiment=next((w.split("=")[1] for w in job if w.startswith("experiment=")), None),
        seed=config["seed"],
        overrides=job,
        config=config,
        metrics={f"{about['split']}/{entry}/{end}": 1.0 for entry in entries for end in ENDS},
        record={"cost": {entry: {"parameters": 1, "macs": 1} for entry in entries}},
        status="done",
        link="/".join(job),
    )


@cache
def comparison(name: str) -> Comparison:
    """The report's view of a study whose jobs of one seed are done."""
    plan = jobs(name, "seed=0")
    return compare(make_study(name, [finished(name, job) for job in plan]))


@pytest.mark.parametrize("name", SWEPT)
def test_number_of_jobs_equals_the_comment(name: str) -> None:
    text = (ABLATIONS / f"{name}.yaml").read_text()
    found = re.search(r"^# (?:.* )?(\d+) runs", text, re.MULTILINE)
    assert found, f"{name} lacks its number of runs"
    assert int(found[1]) == len(jobs(name))
    assert f"facegeo-train -m ablation={name}" in text


@pytest.mark.parametrize("name", SWEPT)
def test_every_variant_has_three_seeds(name: str) -> None:
    variants: dict[Job, set[str]] = {}
    for *rest, seed in jobs(name):
        assert seed.startswith("seed=")
        variants.setdefault(tuple(rest), set()).add(seed)
    assert all(len(seeds) >= 3 for seeds in variants.values())


@pytest.mark.parametrize("name", SWEPT)
def test_no_two_jobs_are_one_training(name: str) -> None:
    one_seed = jobs(name, "seed=0")
    other_seed = next(job for job in jobs(name) if job[-1] == "seed=1")
    hashes = {config_hash(job_config(name, job)) for job in (*one_seed, other_seed)}
    assert len(hashes) == len(one_seed) + 1


@pytest.mark.parametrize("name", SWEPT)
def test_hydra_composes_the_last_job_as_these_tests_do(name: str) -> None:
    job = jobs(name)[-1]
    assert plain(settings(f"ablation={name}", *job)) == plain(job_config(name, job))


@pytest.mark.parametrize("name", NAMES)
def test_study_has_the_name_of_its_file_and_all_keys_of_about(name: str) -> None:
    config = composed(f"ablation={name}")
    keys = {"question", "source", "paper", "split", "rows", "measure", "baseline", "plots"}
    assert config.study == name
    assert keys <= set(config.about) <= keys | {"labels"}
    assert config.about.split in [*config.splits, *config.also_on]


@pytest.mark.parametrize("name", SWEPT)
def test_report_finds_the_baseline_and_every_label(name: str) -> None:
    about, rows = composed(f"ablation={name}").about, [row.name for row in comparison(name).rows]
    assert len(set(rows)) == len(rows)
    assert comparison(name).baseline == about.baseline
    assert {label.name for label in about.get("labels", [])} <= set(rows)


@pytest.mark.parametrize("name", SWEPT)
def test_every_number_of_the_paper_is_beside_a_row(name: str) -> None:
    found = comparison(name)
    beside = {row.name for row in found.rows if row.paper}
    assert beside == set(found.cells) - NOT_TRAINED


@pytest.mark.parametrize("name", NAMES)
def test_every_plot_of_a_study_can_be_drawn(name: str, tmp_path: Path) -> None:
    if name in SEARCHES:
        keys = composed(f"ablation={name}").hydra.sweeper.params
        trials = [tuple(f"{key}={value}" for key in keys) for value in (0.1, 0.2)]
        study = make_study(name, [finished(name, trial) for trial in trials])
    else:
        study = comparison(name).study
    entries = {metric.split("/")[1] for run in study.runs for metric in run.metrics}
    errors = {entry: np.ones(4) for entry in entries}
    np.savez(tmp_path / f"{study.about['split']}_errors.npz", **errors)  # type: ignore[arg-type]
    runs = tuple(replace(run, folder=tmp_path) for run in study.runs)
    plots, missing = study_plots(compare(replace(study, runs=runs)))
    assert missing == []
    assert len(plots) == len({*study.about["plots"]} - {"panels"})


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_search_minimises_what_held_out_faces_say(name: str) -> None:
    config = composed(f"ablation={name}")
    assert config.hydra.sweeper.direction == "minimize"
    assert config.objective.startswith("val/")
    assert config.splits == ["val"]
    for key in config.hydra.sweeper.params:
        assert OmegaConf.select(config, key) is not None, key


def test_studies_share_equal_trainings() -> None:
    def stages(name: str, *words: str) -> dict[str, str]:
        return weight_keys(
            plain(job_config(name, ("seed=2", *words))), "faces", LFPWDataModule.weight_parts
        )

    def generator(name: str, *words: str) -> dict[str, str]:
        return weight_keys(
            plain(job_config(name, ("seed=2", *words))), "faces", NormalDataModule.weight_parts
        )

    without_shake = stages("ccnn/shake", "data.augment.shake_sigma=0.0")
    assert stages("ccnn/windows", "model.stages.stage1.label=window") == without_shake
    cascade = stages("ccnn/comparison", "experiment=ccnn/tuned")
    assert cascade.items() < stages("ccnn/stage_count").items()
    assert stages("ccnn/shake", "data.augment.shake_sigma=0.01").items() < cascade.items()
    full = generator("casfne/loss_terms", "task.weights={}")
    assert generator("casfne/cascade_depth", "model.t=2") == full
    assert generator("casfne/architecture", "model=casfne") == full
    cat = "model.fusion._target_=facegeo.normals.generator.CAT"
    assert generator("casfne/fusion", cat) == full
    assert generator("casfne/loss_terms", "task.weights={tv:0.0}") != full
    people = generator("casfne/people/cascade_depth", "model.t=2")
    assert generator("casfne/people/architecture", "model=casfne") == people
    assert generator("casfne/people/block", "experiment=casfne/people") == people
    assert generator("casfne/people/fusion", cat) == people
    assert generator("casfne/people/loss_terms", "task.weights={}") == people


def test_command_line_narrows_a_sweep() -> None:
    assert {job[-1] for job in jobs("ccnn/shake", "seed=7")} == {"seed=7"}
    assert len(jobs("ccnn/shake", "seed=7", "data.augment.shake_sigma=0.1,0.2")) == 2


def test_study_of_another_experiment_is_a_choice_away() -> None:
    config = composed("ablation=ccnn/shake", "experiment=ccnn/paper")
    assert config.study == "ccnn/shake"
    assert config.task.optimizer._target_ == "torch.optim.SGD"
    assert config.model.count == 1
