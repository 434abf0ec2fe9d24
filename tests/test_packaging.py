"""What a user installs: commands that answer at once, configs and studies inside the wheel."""

import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = [
    script for script in entry_points(group="console_scripts") if script.name.startswith("facegeo-")
]
SLOW = "torch", "lightning", "torchmetrics", "warp", "cv2", "matplotlib", "wandb", "hydra"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_a_command_answers_without_loading_anything_slow(command: EntryPoint, flag: str) -> None:
    code = (
        f"import sys; from {command.module} import main; sys.argv[1:] = [{flag!r}]; main(); "
        f"print('loaded:', sorted(set({SLOW}) & set(sys.modules)))"
    )
    answer = output_of(sys.executable, "-c", code)
    assert answer.endswith("loaded: []\n")
    assert f"Usage: {command.name} " in answer or flag == "--version"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, with the tools that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("folder", ["conf", "experiments"])
def test_the_wheel_holds_every_file_of(wheel: Path, folder: str) -> None:
    files = (file for file in (ROOT / folder).rglob("*") if file.is_file())
    files = (file for file in files if "__pycache__" not in file.parts)
    wanted = {f"facegeo/{file.relative_to(ROOT).as_posix()}" for file in files}
    assert wanted
    assert wanted - set(ZipFile(wheel).namelist()) == set()


@pytest.mark.slow
@pytest.mark.ci
def test_the_wheel_holds_every_file_that_is_no_code(wheel: Path) -> None:
    files = (file for file in (ROOT / "facegeo").rglob("*") if file.is_file())
    wanted = {file.relative_to(ROOT).as_posix() for file in files if ".py" not in file.suffix}
    assert "facegeo/studies/templates/page.html" in wanted
    assert wanted - set(ZipFile(wheel).namelist()) == set()


@pytest.mark.slow
@pytest.mark.ci
def test_the_installed_wheel_runs_from_any_folder(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a venv"
    venv.create(home, symlinks=True)
    pip("--python", str(home / "bin/python"), "install", "--no-deps", str(wheel))
    site = next((home / "lib").glob("python*")) / "site-packages"
    # The libraries, but not this checkout: .pth files in a folder added like this are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    monkeypatch.chdir(tmp_path)

    code = (
        "from facegeo.files.shipped import *; print(conf_dir(), experiments_dir(), sep='|', end='')"
    )
    folders = output_of(home / "bin/python", "-c", code)
    assert folders == f"{site / 'facegeo/conf'}|{site / 'facegeo/experiments'}"
    assert "Usage: facegeo-train" in output_of(home / "bin/facegeo-train", "--help")
    assert "seed: 5\n" in output_of(home / "bin/facegeo-train", "--cfg", "job", "seed=5")


def pip(*arguments: str) -> None:
    output_of(sys.executable, "-m", "pip", "--quiet", *arguments)


def output_of(*command: str | Path) -> str:
    """Return what a command prints; one that fails fails the test with its errors."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
