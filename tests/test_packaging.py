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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")
    assert command.name in done.stdout or flag == "--version"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, with the tools that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("folder", ["conf", "experiments"])
def test_the_wheel_holds_every_file_of(wheel: Path, folder: str) -> None:
    tracked = {
        f"facegeo/{file.relative_to(ROOT).as_posix()}"
        for file in (ROOT / folder).rglob("*")
        if file.is_file()
    }
    assert tracked
    assert tracked - set(ZipFile(wheel).namelist()) == set()


def test_the_installed_wheel_runs_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "a venv"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", str(wheel))
    site = next((home / "lib").glob("python*")) / "site-packages"
    # The libraries, but not this checkout: a folder named in a .pth file has its own ignored.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    code = "from facegeo.paths import *; print(conf_dir(), experiments_dir(), sep='|', end='')"
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{site / 'facegeo/conf'}|{site / 'facegeo/experiments'}"
    for arguments, answer in [(["--help"], "Usage: facegeo-train"), (["--cfg", "job"], "seed: 0")]:
        done = subprocess.run(
            [home / "bin" / "facegeo-train", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer in done.stdout


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)
