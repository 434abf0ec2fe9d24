"""The report: its four files, the page's safety, and its links."""

import html.parser
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facegeo.studies.comparison import compare
from facegeo.studies.report import beside, page, report_on, write_report
from facegeo.studies.runs import read_folder

Keep = Callable[..., Path]
EVIL = "<script>alert(1)</script>&\"'"


class Reader(html.parser.HTMLParser):
    """What a page holds: tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            self.scripts.append(data)
        elif "style" not in self._open:
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def study(keep_run: Keep, keep_plan: Callable[..., None], tmp_path: Path) -> Path:
    """Two variants with two seeds each in a folder, one run failed."""
    about = {"question": f"Is it {EVIL}?", "source": "CCNN, Fig. 6", "plots": ["points", "ced"]}
    jobs = [[f"a={a}", f"seed={seed}"] for a in (1, 2) for seed in (0, 1)]
    keep_plan(*jobs, about=about)
    for a, seed in ((1, 0), (1, 1), (2, 0)):
        keep_run(f"run {a}{seed}", seed, {"a": a}, about=about, errors={"stage1": a + seed / 8})
    keep_run("failed", 1, {"a": 2}, about=about, status="failed", error=f"{EVIL}\nin two lines")
    return tmp_path / "study"


def test_report_writes_four_files_and_prints_the_table(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = write_report([study])
    assert written == study / "report.html"
    files = {path.name for path in study.iterdir() if path.is_file()}
    assert files == {f"report.{end}" for end in ("html", "md", "csv", "tex")}
    shown = capsys.readouterr().out
    assert re.search(r"a=1 \* +2 of 2 +1\.06 +0\.088", shown)
    assert "failed: a=2, seed 1: <script>" in shown
    assert "To finish: again" in shown


def test_a_page_shows_everything_and_loads_nothing(study: Path) -> None:
    read = Reader(write_report([study]).read_text(encoding="utf-8"))
    assert "Is it <script>alert(1)</script>&\"'?" in read.text
    assert "This study is incomplete: 3 of 4 runs are done." in read.text
    assert "a=1 * 2 of 2 1.06 0.088 - - - 0 , 1" in read.text
    assert "a=2 1 of 2 2.00 - +1.000 - (1) - 0" in read.text
    assert "failed <script>alert(1)</script>&\"' in two lines" in read.text
    assert "faces (LFPWDataModule, 1234567890ab)" in read.text
    assert [link["href"] for link in read.named("a")][:2] == ["run%2010/", "run%2011/"]
    outside = [value for _, attributes in read.tags for key, value in attributes.items()
               if key in ("src", "href", "action") and "//" in (value or "")]  # fmt: skip
    assert outside == []
    assert "default-src 'none'" in str(read.named("meta")[1]["content"])
    assert len(read.named("script")) == 3  # plotly.js and two plots


def test_no_text_can_end_the_script_of_a_plot(study: Path, keep_run: Keep) -> None:
    keep_run("evil", 0, {"a": EVIL}, errors={"stage1": float("nan")})
    text = write_report([study]).read_text(encoding="utf-8")
    read = Reader(text)  # asserts that tags are balanced
    assert len(read.named("script")) == 1 + 2  # plotly.js, two plots
    assert all("<" not in script for script in read.scripts[1:])
    (points,) = [script for script in read.scripts if '"a-study-0"' in script]
    assert "[null,null,null,null,null,null]" in points


def test_report_accepts_nan_metrics(keep_run: Keep, tmp_path: Path) -> None:
    for a in range(4):
        for seed in (0, 1):
            errors = {"stage1": 1.0 + a, "stage2": float("nan") if a + seed < 2 else 1.0}
            cost = {"stage2": {"parameters": 1, "macs": 10**a}}
            keep_run(f"{a}{seed}", seed, {"a": a, "b": -a}, errors=errors, cost=cost)
    read = Reader(write_report([tmp_path / "study"]).read_text(encoding="utf-8"))
    assert "a=0, b=0 * 2 of 2 nan nan" in read.text
    assert len([tag for tag in read.named("div") if tag.get("class") == "plot"]) == 5


def test_several_studies_share_a_page_with_contents(
    study: Path, keep_run: Keep, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    keep_run("x", 0, errors={"stage1": 1.0}, study="b/other").rename(other / "x")
    written = write_report([study, other])
    assert written == tmp_path / "report.html"
    read = Reader(written.read_text(encoding="utf-8"))
    targets = [str(link["href"]) for link in read.named("a") if str(link["href"])[0] == "#"]
    assert targets == ["#a-study", "#b-other"]
    assert {tag["id"] for tag in read.named("section")} == {"a-study", "b-other"}
    assert "incomplete: 1 to do" in read.text
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "[0](study/run%2010)" in markdown
    assert "[0](other/x)" in markdown


def test_markdown_lists_jobs_to_do(study: Path) -> None:
    markdown = write_report([study]).with_suffix(".md").read_text(encoding="utf-8")
    assert (
        "| a=1 * | 2 of 2 | 1.06 | 0.088 | - | - | - | [0](run%2010), [1](run%2011) |" in markdown
    )
    assert "- a=2, seed 1: failed <script>alert(1)</script>&\"' in two lines" in markdown
    assert "```\nagain\n```" in markdown


def test_a_study_without_a_finished_run_is_reported_as_such(
    keep_plan: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_plan(["seed=0"], ["seed=1"])
    text = write_report([tmp_path / "study"], tmp_path / "new" / "out.v1").read_text()
    assert "This study is incomplete: 0 of 2 runs are done." in text
    assert "<script>" not in text
    assert (tmp_path / "new" / "out.v1.csv").is_file()
    shown = capsys.readouterr().out
    assert f"delete their folders, such as {tmp_path / 'study' / 'seed=0'}\n" in shown


def test_a_command_to_copy_stays_on_one_line(
    keep_plan: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "facegeo-train -m " + " ".join(f"some.long.key{n}=1" for n in range(20))
    keep_plan(["seed=0"], command=command)
    write_report([tmp_path / "study"])
    assert f"To finish: {command}\n" in capsys.readouterr().out


def test_a_search_before_its_first_trial_is_reported(
    keep_plan: Callable[..., None], tmp_path: Path
) -> None:
    keep_plan(trials=20)
    assert "0 of 20 runs are done" in write_report([tmp_path / "study"]).read_text()


def test_a_split_may_be_chosen(study: Path, tmp_path: Path) -> None:
    written = report_on([read_folder(study)], tmp_path / "val", "val")
    assert "No finished run has measured val/.../error_pct." in written.read_text()


def test_a_report_on_several_folders_goes_where_all_of_them_are(tmp_path: Path) -> None:
    assert beside([tmp_path / "a" / "b", tmp_path / "a" / "c"]) == tmp_path / "a" / "report"
    assert beside([tmp_path / "a"]) == tmp_path / "a" / "report"


@pytest.mark.parametrize(
    "address", ["https://wandb.ai/me/p/runs/1", "http://localhost:8080/me/p/runs/1?a=b"]
)
def test_a_page_links_to_an_address_as_it_is(keep_run: Keep, tmp_path: Path, address: str) -> None:
    keep_run("a", 0, errors={"stage1": 1.0})
    study = read_folder(tmp_path / "study")
    run = replace(study.runs[0], link=address, folder=None)
    assert f'href="{address}"' in page([compare(replace(study, runs=(run,)))], tmp_path)


def test_links_to_folders_are_relative_to_the_page(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a b", 0, errors={"stage1": 1.0})
    comparison = compare(read_folder(tmp_path / "study"))
    assert 'href="study/a%20b/"' in page([comparison], tmp_path)
