import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facegeo.studies.comparison import Comparison, compare
from facegeo.studies.plots import (
    MAX_WIDTH_PX,
    MOST,
    Plot,
    ced_plot,
    cost_plot,
    depth_plot,
    parallel_plot,
    pictures,
    points_plot,
    study_plots,
)
from facegeo.studies.runs import read_folder, read_run, run_costs
from facegeo.training.wing import model_costs

Keep = Callable[..., Path]


def read(tmp_path: Path) -> Comparison:
    return compare(read_folder(tmp_path / "study"))


def traces(plot: Plot | None) -> list[Any]:
    assert plot is not None
    return list(plot.figure.data)


def test_points_are_bars_with_a_dot_a_seed_and_the_papers_average(
    keep_run: Keep, tmp_path: Path
) -> None:
    for seed, error in enumerate((2.0, 3.0)):
        keep_run(str(seed), seed, about={"paper": "ccnn.fig4_stage_count"},
                 errors={"stage1": error, "stage9": 1.0})  # fmt: skip
    found = traces(points_plot(read(tmp_path)))
    assert [trace.type for trace in found] == ["bar", "scatter", "scatter", "bar", "scatter"]
    bars, dots, paper = found[:3]
    assert bars.x == ("LE", "RE", "N", "LM", "RM", "average")
    assert bars.y == (2.5,) * 6
    assert dots.y == (2.0, 3.0) * 6
    assert (paper.x, paper.y) == (("average",), (2.21,))
    assert [trace.offsetgroup for trace in found] == ["0", "0", "0", "1", "1"]


def test_a_name_from_a_file_is_escaped_in_a_plot(keep_run: Keep, tmp_path: Path) -> None:
    for a in ("<b>x", "y"):
        keep_run(a[-1], 0, {"a": a}, errors={"stage1": 1.0})
    assert traces(points_plot(read(tmp_path)))[0].name == "a=&lt;b&gt;x"


def test_a_figure_shows_the_first_rows_only(keep_run: Keep, tmp_path: Path) -> None:
    for a in range(MOST + 2):
        keep_run(str(a), 0, {"a": a}, errors={"stage1": 1.0})
    plot = points_plot(read(tmp_path))
    assert len(traces(plot)) == MOST
    assert plot is not None
    assert plot.caption.endswith(f"The first {MOST} of {MOST + 2} rows.")


def test_curve_is_the_mean_share_over_seeds(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 2.0})  # images: 1, 2, 2, 3 %
    keep_run("b", 1, errors={"stage1": 4.0})  # 2, 4, 4, 6 %
    torn = keep_run("c", 2, errors={"stage1": 1.0})
    (torn / "test_errors.npz").write_bytes(b"PK\3\4torn")
    (curve,) = traces(ced_plot(read(tmp_path)))
    share = dict(zip(curve.x, curve.y, strict=True))
    assert share[0.0] == 0
    assert share[1.0] == pytest.approx(100 * (1 / 4 + 0) / 2)
    assert share[2.0] == pytest.approx(100 * (3 / 4 + 1 / 4) / 2)
    assert share[10.0] == 100


def test_depth_is_a_line_a_variant_beside_the_papers(keep_run: Keep, tmp_path: Path) -> None:
    about = {"paper": "casfne.table1_cascade_depth", "rows": ["last"]}
    for seed in (0, 1):
        keep_run(f"a{seed}", seed, {"t": 1}, about=about, degrees={"t0": 8.0 + seed, "t1": 7.0})
    keep_run("b", 0, {"t": 0}, about=about, degrees={"t0": 9.0})
    zero, one, paper = traces(depth_plot(read(tmp_path)))
    assert (zero.x, zero.y) == (("t0",), (9.0,))
    assert (one.x, one.y) == (("t0", "t1"), (8.5, 7.0))
    assert one.error_y.array[0] == pytest.approx(math.sqrt(0.5))
    assert (paper.name, paper.y) == ("paper", (10.21, 8.02))


def test_cost_is_drawn_against_error(keep_run: Keep, tmp_path: Path) -> None:
    cost = {"t0": {"parameters": 1_000, "macs": 5_000}, "t1": {"parameters": 2_000, "macs": 9_000}}
    for seed in (0, 1):
        keep_run(str(seed), seed, degrees={"t0": 8.0 + seed, "t1": 7.0}, cost=cost)
    first, second = traces(cost_plot(read(tmp_path)))
    assert (first.x, first.y, first.text) == ((5_000,), (8.5,), ("1,000 parameters",))
    assert (second.x, second.y) == ((9_000,), (7.0,))
    assert first.error_y.array == (pytest.approx(math.sqrt(0.5)),)
    assert (first.error_y.visible, second.error_y.visible) == (True, False)


def test_costs_are_empty_without_a_model(keep_run: Keep, tmp_path: Path) -> None:
    folder = keep_run("a", 0, errors={"stage1": 1.0})
    assert run_costs(read_run(folder)) == {}
    (folder / "model.safetensors").write_bytes(b"torn")
    assert run_costs(read_run(folder)) == {}
    assert cost_plot(read(tmp_path)) is None


def test_costs_of_a_cascade_add_up_stage_by_stage() -> None:
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate

    from facegeo.files.shipped import conf_dir

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        costs = model_costs(instantiate(compose("train").model))
    assert list(costs) == ["stage1", "stage2", "stage3"]
    assert costs["stage3"]["parameters"] == 647_102  # all 23 nets, with biases
    assert costs["stage1"]["macs"] < costs["stage2"]["macs"] < costs["stage3"]["macs"]


def test_parallel_coordinates_hold_every_setting_that_differs(
    keep_run: Keep, tmp_path: Path
) -> None:
    settings = [([0.1, 0.2], "a"), ([0.3, 0.2], "b"), ([0.2, 0.2], "a")]
    for number, (sizes, kind) in enumerate(settings):
        keep_run(str(number), 0, {"sizes": sizes, "kind": kind}, errors={"stage1": 1.0 + number})
    (lines,) = traces(parallel_plot(read(tmp_path)))
    assert lines.line.color == (1.0, 3.0, 2.0)
    axes = [(axis.label, axis.values, axis.ticktext) for axis in lines.dimensions]
    assert axes == [
        ("sizes.0", (0.1, 0.2, 0.3), ("0.1", "0.2", "0.3")),  # sizes.1 is the same in all
        ("kind", (0, 0, 1), ("a", "b")),
        ("error_pct", (1.0, 3.0, 2.0), None),
    ]


def test_parallel_coordinates_need_two_settings(keep_run: Keep, tmp_path: Path) -> None:
    for a in (1, 2):
        keep_run(str(a), 0, {"a": a}, errors={"stage1": 1.0})
    assert parallel_plot(read(tmp_path)) is None


def test_plots_of_about_are_drawn_and_others_explained(keep_run: Keep, tmp_path: Path) -> None:
    asked = ["ced", "cost", "panels", "pie"]
    keep_run("a", 0, about={"plots": asked}, errors={"stage1": 1.0})
    plots, missing = study_plots(read(tmp_path))
    assert [plot.title for plot in plots] == ["Cumulative error distribution"]
    assert missing == [
        "Plot 'cost' cannot be drawn: it needs a finished run with its cost or its model.",
        "Plot 'pie' cannot be drawn: there are points, ced, depth, cost, parallel and panels.",
    ]


def test_without_a_choice_all_possible_plots_are_drawn(keep_run: Keep, tmp_path: Path) -> None:
    keep_run("a", 0, errors={"stage1": 1.0, "stage2": 0.5})
    plots, missing = study_plots(read(tmp_path))
    titles = ["Error of each point", "Cumulative error distribution", "Error after each stage"]
    assert ([plot.title for plot in plots], missing) == (titles, [])


def test_pictures_are_made_small_one_a_variant(keep_run: Keep, tmp_path: Path) -> None:
    for a in (1, 2):
        for seed in (0, 1):
            folder = keep_run(f"{a}{seed}", seed, {"a": a}, errors={"stage1": 1.0})
            if seed or a == 2:  # the first run of variant 1 has lost its own
                page = np.full((60, 2 * MAX_WIDTH_PX, 3), 40, np.uint8)
                (folder / "test_panels.png").write_bytes(cv2.imencode(".png", page)[1].tobytes())
    found = pictures(read(tmp_path))
    assert [(one.name, one.seed) for one in found] == [("a=1", 1), ("a=2", 0)]
    assert (found[0].width, found[0].height) == (MAX_WIDTH_PX, 30)
    assert found[0].uri.startswith("data:image/jpeg;base64,/9j/")


def test_pictures_need_to_be_asked_for(keep_run: Keep, tmp_path: Path) -> None:
    folder = keep_run("a", 0, about={"plots": ["ced"]}, errors={"stage1": 1.0})
    (folder / "test_panels.png").write_bytes(
        cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    )
    assert pictures(read(tmp_path)) == []
