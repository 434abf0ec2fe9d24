"""How every command starts and ends."""

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig

from facegeo import __version__
from facegeo.errors import UserError

Run = Callable[..., None]


def fail(error: BaseException) -> Callable[[DictConfig], object]:
    def job(cfg: DictConfig) -> object:
        raise error

    return job


def test_job_is_called_with_the_composed_config(run: Run) -> None:
    seen: list[DictConfig] = []
    run(seen.append, "experiment=ccnn/paper", "trainer.max_epochs=5")
    assert [(cfg.seed, cfg.trainer.max_epochs, cfg.data.count) for cfg in seen] == [(7, 5, 8)]


def test_a_run_stays_in_its_folder_and_writes_nothing_of_its_own(run: Run) -> None:
    here = Path.cwd()
    folders: list[Path] = []
    run(lambda cfg: folders.append(Path.cwd()))
    assert folders == [here]
    assert list(here.iterdir()) == []


def test_version_is_of_facegeo(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(fail(AssertionError("the job ran")), "--version")
    assert (
        capsys.readouterr().out == f"facegeo {__version__} (python {platform.python_version()})\n"
    )


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_runs_no_job(run: Run, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    run(fail(AssertionError("the job ran")), "data=lfpw", flag)
    assert "Usage: facegeo-toy" in capsys.readouterr().out


def test_help_explains_an_unknown_option(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(fail(AssertionError("the job ran")), "data=lfwp", "--help")
    assert ended.value.code == 2
    assert "data must be one of generated, lfpw, got 'lfwp'" in capsys.readouterr().err


def test_a_user_error_is_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(fail(UserError("list.txt line 3: want 15 fields, got 14")))
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "facegeo-toy: error: list.txt line 3: want 15 fields, got 14\n")


def test_debugging_keeps_the_traceback_of_a_user_error(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEGEO_DEBUG", "1")
    with pytest.raises(UserError, match="no such list"):
        run(fail(UserError("no such list")))


def test_a_bug_keeps_its_traceback(run: Run) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        run(fail(ZeroDivisionError("a bug")))
    assert caught.traceback[-1].name == "job"


def stopped_by_lightning(cfg: DictConfig) -> None:
    """Its trainer turns Ctrl-C into exit code 1."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


@pytest.mark.parametrize(
    ("stop", "code", "line"),
    [
        (fail(KeyboardInterrupt()), 130, "interrupted"),
        (fail(KeyboardInterrupt("stopped; resume=x")), 130, "stopped; resume=x"),
        (stopped_by_lightning, 130, "interrupted"),
        (fail(SIGTERMException()), 143, "stopped by SIGTERM; the same command resumes"),
    ],
    ids=["plain", "says-how-to-resume", "lightning", "sigterm"],
)
def test_a_stopped_command_ends_with_a_line_and_the_shells_code(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    stop: Callable[[DictConfig], object],
    code: int,
    line: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(stop)
    assert ended.value.code == code
    assert capsys.readouterr().err == f"facegeo-toy: {line}\n"


def test_an_exit_code_of_the_job_is_kept(run: Run) -> None:
    with pytest.raises(SystemExit) as ended:
        run(lambda cfg: sys.exit(3))
    assert ended.value.code == 3


def test_a_sweep_runs_every_job_and_leaves_one_record(run: Run) -> None:
    seeds: list[int] = []
    run(lambda cfg: seeds.append(cfg.seed), "--multirun", "seed=1,2")
    assert seeds == [1, 2]
    files = [file.name for file in Path("runs/sweeps").rglob("*") if file.is_file()]
    assert files == ["multirun.yaml"]


def test_an_error_in_one_job_of_a_sweep_does_not_stop_the_others(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds: list[int] = []

    def job(cfg: DictConfig) -> None:
        if cfg.seed == 1:
            raise UserError("seed 1 is bad")
        seeds.append(cfg.seed)

    with pytest.raises(SystemExit) as ended:
        run(job, "--multirun", "seed=1,2")
    assert ended.value.code == 2
    assert seeds == [2]
    err = capsys.readouterr().err
    assert "seed=1" in err  # which job it was
    assert err.endswith("facegeo-toy: error: seed 1 is bad\n")


def test_lightning_prints_each_line_once_and_no_tips(config: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import logging\n"
        "from pathlib import Path\n"
        "from facegeo.cli.app import launch\n"
        "def job(cfg):\n"
        "    import lightning.pytorch\n"
        "    lightning.pytorch.Trainer(accelerator='cpu', logger=False)\n"
        "    logging.getLogger('lightning.pytorch.test').info('one line')\n"
        f"launch(job, 'toy', 'About.', [], conf=Path({str(config.parent)!r}))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "INFO: one line\n")
