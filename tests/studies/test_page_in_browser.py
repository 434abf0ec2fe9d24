"""The page in a real browser: nothing fails, tables and plots are there, at two widths."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegeo.studies.report import write_report

Keep = Callable[..., Path]
CHROMIUM = shutil.which("chromium")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--enable-unsafe-swiftshader",  # WebGL without a GPU, for parallel coordinates
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed"),
]


def browse(page: Path, profile: Path, *flags: str) -> tuple[str, str]:
    """The page's elements after its scripts have run, and what the browser's console says."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={profile}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    lines = re.findall(r".*CONSOLE.*", done.stderr)
    return done.stdout, "\n".join(line for line in lines if "GL Driver Message" not in line)


@pytest.fixture
def page(keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path) -> Path:
    """A study with every kind of plot, panels and an unfinished job."""
    about = {"question": "Which?", "paper": "ccnn.fig4_stage_count", "rows": ["stage1"]}
    about["plots"] = ["points", "ced", "depth", "cost", "parallel", "panels"]  # type: ignore[assignment]
    jobs = [(a, b, seed) for a in (1, 2) for b in (1, 2) for seed in (0, 1)]
    words = [[f"a={a}", f"b={b}", f"seed={seed}"] for a, b, seed in jobs]
    keep_plan(*words, about=about)
    for a, b, seed in jobs[:-1]:
        errors = {"stage1": a + b / 2 + seed / 8, "stage2": float(b)}
        cost = {"stage1": {"parameters": 1000 * a, "macs": 100_000 * b}}
        folder = keep_run(f"{a}{b}{seed}", seed, {"a": a, "b": b}, about=about, errors=errors,
                          cost=cost)  # fmt: skip
        image = np.full((60, 600, 3), 90, np.uint8)
        (folder / "test_panels.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return write_report([tmp_path / "study"])


def test_no_error_and_every_table_plot_and_picture_is_there(page: Path, tmp_path: Path) -> None:
    seen, console = browse(page, tmp_path / "profile", "--dump-dom")
    assert console == ""
    assert seen.count("<table>") == 3  # rows, all measures, to do
    plots = re.findall(r'<div id="a-study-(\d)" class="plotly-graph-div js-plotly-plot"', seen)
    assert plots == ["0", "1", "2", "3", "4"]
    assert len(re.findall(r'<svg class="main-svg"', seen)) >= len(plots)
    assert seen.count('<g class="point">') > 20  # bars and dots are drawn
    assert seen.count('class="y-axis"') == 3  # a, b and the error, as parallel coordinates
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', seen)) == 4


def test_console_shows_errors_of_a_page(page: Path, tmp_path: Path) -> None:
    page.write_text(page.read_text().replace("<main>", "<main><script>missing()</script>"))
    _, console = browse(page, tmp_path / "profile", "--dump-dom")
    assert "missing is not defined" in console


def test_long_names_of_rows_leave_the_axes_their_height(keep_run: Keep, tmp_path: Path) -> None:
    about = {"rows": ["stage1"], "plots": ["points"]}
    names = [f"{number} {'long ' * 25}" for number in range(7)]
    for name in names:
        keep_run(name[0], 0, {"a": name}, about=about, errors={"stage1": 1.0})
    seen, _ = browse(write_report([tmp_path / "study"]), tmp_path / "profile", "--dump-dom")
    (height,) = re.findall(r'class="plotclip"><rect width="[\d.]+" height="([\d.]+)"', seen)
    assert float(height) > 250  # px, of 420


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(page: Path, tmp_path: Path, width: int) -> None:
    # A window is never narrower than 500 px: a frame is. It asks the page for its width.
    ask = "parent.document.title = document.documentElement.scrollWidth"
    framed = tmp_path / "framed.html"
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    inner = policy.sub("", page.read_text()).replace(
        "</body>", f"<script>setTimeout(() => {{ {ask}; }}, 3000)</script></body>"
    )
    page.write_text(inner)
    framed.write_text(
        f'<title>none</title><iframe src="{page.as_uri()}" '
        f'style="border:0;width:{width}px;height:4000px"></iframe>'
    )
    seen, console = browse(
        framed, tmp_path / "profile", "--dump-dom", "--allow-file-access-from-files",
        "--window-size=1400,900",
    )  # fmt: skip
    assert console == ""
    assert f"<title>{width}</title>" in seen
