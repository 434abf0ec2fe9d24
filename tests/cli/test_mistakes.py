"""Exceptions that the user can correct, and whether the message says how."""

import errno
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig
from pydantic import ConfigDict, PositiveInt
from pydantic.dataclasses import dataclass

from facegeo.cli.mistakes import explain
from facegeo.errors import UserError

Run = Callable[..., None]
MODULE = sys.modules[__name__]


class Part:
    """Something built from a config, which fails as ``fault`` says."""

    def __init__(self, fault: str) -> None:
        if fault == "user":
            raise UserError("width must be at least 1, got 0")
        if fault == "refused":
            raise ValueError("Invalid learning rate: -1")
        if fault == "folder":
            raise PermissionError(errno.EACCES, "Permission denied", "/results/run")
        if fault == "bug":
            raise TypeError("a bug")


@dataclass(config=ConfigDict(strict=True))
class Checked:
    """Something built from a config whose values pydantic checks."""

    a: int
    b: PositiveInt


@pytest.fixture(autouse=True)
def _part_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "toy_parts", MODULE)


def build(cfg: DictConfig) -> object:
    return instantiate(cfg.part)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sed=1"], r"no key 'sed'; nearest: seed \(--cfg job"),
        (["trainer.max_epoch=5"], r"no key 'trainer.max_epoch'; nearest: trainer.max_epochs "),
        (["lr=5"], r"no key 'lr'; nearest: trainer.lr "),
        (["experimnt=ccnn/paper"], r"no key 'experimnt'; nearest: experiment "),
        (["data=lfpw", "data.rot=x"], r"no key 'data.rot'; nearest: data.root"),
        (["data.root=x"], r"data.root is a key of data=lfpw; choose it too, as data=lfpw"),
        (["data=lfwp"], r"data must be one of generated, lfpw, got 'lfwp'"),
        (["sed=1,2", "-m"], r"no key 'sed'; nearest: seed "),
        (["dta=lfpw"], r"no key 'dta'; nearest: data"),
        (["data/size=big"], r"no key 'data/size'; nearest: data"),
        (["~sead"], r"no key 'sead'; nearest: seed"),
        (["zzz=1"], r"no key 'zzz'; nearest: none"),
        (["experiment=ccnn/papr"], r"experiment must be one of ccnn/paper, got 'ccnn/papr'"),
        (["data=[lfpw,x]"], r"data must be one of generated, lfpw, got 'x'"),
        (["data={rot: 3}"], r"data must be one of generated, lfpw$"),
        (["data=null"], r"override must be a string or a list"),
        (["seed=[1"], r"cannot read 'seed=\[1': .*; want KEY=VALUE"),
        (["seed"], r"cannot read 'seed': .*; want KEY=VALUE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_override_is_explained(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(lambda cfg: None, *arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.match(f"facegeo-toy: error: .*{message}", err), err


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("{_target_: toy_parts.Part, fault: user}", r"width must be at least 1, got 0$"),
        (
            "{_target_: toy_parts.Part, fault: {_target_: toy_parts.Part, fault: user}}",
            r"width must be at least 1, got 0$",
        ),
        (
            "{_target_: toy_parts.Part, fault: refused}",
            r"Part':\nValueError\('Invalid learning rate: -1'\)\nfull_key: part\n",
        ),
        (
            "{_target_: toy_parts.Part, fault: folder}",
            "/results/run: Permission denied; use another folder, or make room",
        ),
        ("{_target_: toy_parts.Part, fault: no, depth: 3}", r"unexpected keyword argument 'depth'"),
        ("{_target_: toy_parts.Part}", r"missing 1 required positional argument: 'fault'"),
        ("{_target_: toy_parts.Prat, fault: no}", r"locating target 'toy_parts.Prat'\nfull_key"),
        (
            "{_target_: toy_parts.Part, fault: '???'}",
            r"add points=... part.fault=",
        ),
        ("{_target_: toy_parts.Part, fault: '${nobody}'}", r"Interpolation key 'nobody' not found"),
    ],
    ids=[
        "user-error",
        "user-error-deep-inside",
        "value-refused",
        "folder-of-another",
        "argument-too-many",
        "argument-missing",
        "no-such-class",
        "no-value",
        "points-nowhere",
    ],
)
def test_a_bad_part_of_the_config_is_explained(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str], part: str, message: str
) -> None:
    config.write_text(f"{config.read_text()}part: {part}\n")
    with pytest.raises(SystemExit) as ended:
        run(build)
    assert ended.value.code == 2
    assert re.search(f"^facegeo-toy: error: (.|\n)*{message}", capsys.readouterr().err)


def test_all_invalid_arguments_are_explained(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(lambda cfg: None, "sed=1", "data=lfwp", "seed=3", "seed=[1", "experiment=ccnn/paper")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0] for line in lines] == [
        "facegeo-toy: error: data must be one of generated, lfpw, got 'lfwp'",
        "there is no key 'sed'",
        lines[2].split(";")[0],
    ]
    assert "cannot read 'seed=[1'" in lines[2]


def test_hydras_own_explanations_are_passed_on(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(lambda cfg: None, "hydra/launcher=x")
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "Available options in 'hydra/launcher':\n\tbasic\n" in err
    assert "search path" not in err


@pytest.mark.parametrize("key", ["points", "copy"])
def test_all_missing_values_are_named(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    config.write_text(config.read_text() + "copy: ${points}\n")
    with pytest.raises(SystemExit) as ended:
        run(lambda cfg: cfg[key], "data=lfpw")
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "facegeo-toy: error: data.root and points are missing: add data.root=... points=...\n"
    )


def test_all_values_that_pydantic_refuses_are_named(
    run: Run, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(f"{config.read_text()}part: {{_target_: toy_parts.Checked, a: x, b: -1}}\n")
    with pytest.raises(SystemExit) as ended:
        run(build)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "facegeo-toy: error: part.a must be a whole number, got 'x'; "
        "part.b must be greater than 0, got -1\n"
    )


def test_a_bug_inside_a_part_keeps_its_traceback(run: Run, config: Path) -> None:
    config.write_text(f"{config.read_text()}part: {{_target_: toy_parts.Part, fault: bug}}\n")
    with pytest.raises(InstantiationException, match="a bug"):
        run(build)


def test_a_killed_process_of_a_launcher_is_explained() -> None:
    class TerminatedWorkerError(Exception):
        """Called as joblib's."""

    message = explain(TerminatedWorkerError("exit code -9"), Path("train.yaml"), [])
    assert message is not None
    assert "a process of the launcher was killed" in message
    assert "the same command continues" in message
