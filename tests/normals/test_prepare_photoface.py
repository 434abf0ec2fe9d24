"""Raw sessions of a matt ball become the prepared folder; faults, resuming, processes."""

import csv
import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from facegeo.errors import UserError
from facegeo.geometry.normals import angle_map, encode, from_frame, to_frame
from facegeo.normals.lists import read_normal_lists
from facegeo.normals.maps import check_normals, read_mask, read_normals
from facegeo.normals.prepare import prepare
from facegeo.normals.prepare_photoface import PhotofacePreparation as Preparation
from facegeo.normals.sessions import Reading

SIZE = 64
ZENITH, AZIMUTH = (38, 38, 33, 33), (42, 138, 222, 318)
SESSIONS = ["1001/a", "1001/b", "1002/a"]


def ball() -> tuple[Tensor, Tensor]:
    """Normals (3, H, W) and mask (1, H, W) of a ball that fills most of the picture."""
    step = (torch.arange(SIZE) - (SIZE - 1) / 2) / (0.45 * SIZE)
    x, y = step[None, :].expand(SIZE, SIZE), -step[:, None].expand(SIZE, SIZE)
    inside = x**2 + y**2 < 0.8
    normals = torch.stack([x, y, (1 - x**2 - y**2).clamp_min(0).sqrt()]) * inside
    return normals, inside[None]


def write_session(folder: Path, albedo: float) -> None:
    folder.mkdir(parents=True)
    lines = []
    for k, (zenith, azimuth) in enumerate(zip(ZENITH, AZIMUTH, strict=True)):
        z, a = math.radians(zenith), math.radians(azimuth)
        light = torch.tensor([math.sin(z) * math.cos(a), math.sin(z) * math.sin(a), math.cos(z)])
        shading = torch.einsum("k,khw->hw", light, ball()[0]).clamp_min(0)
        pixels = (255 * albedo * shading).round().to(torch.uint8).numpy()
        cv2.imwrite(str(folder / f"im{k}.bmp"), np.repeat(pixels[..., None], 3, axis=2))
        lines += [f"zenith{k} = [{zenith}];", f"azimuth{k} = [{azimuth}];"]
    (folder / "LightSource.m").write_text("\n".join(lines))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    root = tmp_path / "dist" / "PhotofaceDB"
    for number, name in enumerate(SESSIONS):
        write_session(root / name, 0.7 + 0.1 * number)
    return root


@pytest.fixture
def order(raw: Path, tmp_path: Path) -> Preparation:
    return Preparation(root=raw.parent, out=tmp_path / "out", processes=1)


def written(out: Path, name: str, frame: str) -> tuple[Tensor, Tensor]:
    """Our normals (3, H, W) and mask (1, H, W) of a prepared session."""
    vectors = read_normals((out / name / "sn_c.png").read_bytes())
    mask = read_mask((out / name / "mask_c.png").read_bytes())
    check_normals(vectors, mask)
    stored = torch.from_numpy(vectors).permute(2, 0, 1)
    return from_frame(stored, frame), torch.from_numpy(mask)[None]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("frame", ["down_right_camera", "right_up_camera"])
def test_the_normals_written_are_those_of_the_ball(order: Preparation, frame: str) -> None:
    report = prepare(replace(order, frame=frame))
    assert (report.done, report.kept, report.faulty) == (3, 0, 0)
    truth, inside = ball()
    for name in SESSIONS:
        normals, mask = written(order.out, name, frame)
        assert (mask & ~inside).sum() == 0
        assert mask.sum() > 0.8 * inside.sum()
        assert angle_map(normals, truth)[mask].max() < 3


def test_training_reads_the_prepared_folder(order: Preparation) -> None:
    prepare(order)
    with (order.out / "faces.csv").open() as file:
        faces = [row["face"] for row in csv.DictReader(file)]
    assert faces == [f"{name}/im{k}_c.png" for name in SESSIONS for k in range(4)]
    records, faults = read_normal_lists(order.out, ["faces.csv"])
    assert (len(records), faults) == (12, [])
    photo = cv2.imread(str(order.root / "PhotofaceDB" / SESSIONS[1] / "im2.bmp"))
    face = cv2.imread(str(order.out / SESSIONS[1] / "im2_c.png"))
    np.testing.assert_array_equal(face, photo)
    albedo = cv2.imread(str(order.out / SESSIONS[0] / "albedo_c.png"))
    mask = cv2.imread(str(order.out / SESSIONS[0] / "mask_c.png"), cv2.IMREAD_GRAYSCALE) > 0
    assert (albedo[mask] > 240).all()  # of one colour: all near its brightest
    assert (albedo[~mask] == 0).all()
    manifest = json.loads((order.out / "manifest.json").read_text())
    assert manifest["complete"]
    assert manifest["counts"] == {"sessions": 3, "faces": 12}
    assert manifest["prepared"]["frame"] == "down_right_camera"


def test_finished_sessions_are_kept_and_unfinished_or_changed_ones_redone(
    order: Preparation, raw: Path
) -> None:
    prepare(order)
    before = contents(order.out)
    (order.out / SESSIONS[0] / "prepared.json").unlink()
    (order.out / SESSIONS[0] / "sn_c.png").write_bytes(b"half")
    (order.out / SESSIONS[1] / "im3_c.png").unlink()
    untouched = (order.out / SESSIONS[2] / "sn_c.png").stat().st_mtime_ns
    report = prepare(order)
    assert (report.done, report.kept) == (2, 1)
    assert (order.out / SESSIONS[2] / "sn_c.png").stat().st_mtime_ns == untouched
    assert contents(order.out) == before
    assert len(report.records) == 3
    (raw / SESSIONS[0] / "im0.bmp").write_bytes((raw / SESSIONS[1] / "im0.bmp").read_bytes())
    assert prepare(order).done == 1


@pytest.mark.slow
def test_processes_do_not_change_the_files(order: Preparation, tmp_path: Path) -> None:
    prepare(order)
    prepare(replace(order, out=tmp_path / "two", processes=2))
    assert contents(tmp_path / "two") == contents(order.out)


def test_points_choose_crop_and_mask(order: Preparation, raw: Path) -> None:
    points = np.stack([np.linspace(20, 40, 68), 27.5 + 8 * np.sin(np.linspace(0, 9, 68))], axis=1)
    for name in SESSIONS:
        np.save(raw / name / "points.npy", points)
    prepare(replace(order, reading=Reading(points="points.npy")))
    face = cv2.imread(str(order.out / SESSIONS[0] / "im0_c.png"))
    photo = cv2.imread(str(raw / SESSIONS[0] / "im0.bmp"))
    np.testing.assert_array_equal(face, photo[16:40, 18:42])  # side 24 about (30, 27.5)
    truth = ball()[0][:, 16:40, 18:42]
    normals, mask = written(order.out, SESSIONS[0], "down_right_camera")
    assert angle_map(normals, truth)[mask].max() < 3
    assert mask[0, :, 1].sum() == 0
    assert mask[0, 12, 4:20].all()


def test_a_part_beside_the_face_leaves_the_mask(order: Preparation, raw: Path) -> None:
    own = ball()[1][0].numpy().astype(np.uint8) * 255
    own[20:23] = 0  # cuts the ball in two
    for name in SESSIONS:
        cv2.imwrite(str(raw / name / "mask_c.png"), own)
    prepare(order)
    _, mask = written(order.out, SESSIONS[0], "down_right_camera")
    assert not mask[0, :23].any()
    assert mask[0, 30, 20:40].all()


def test_a_session_with_normals_of_its_own_is_compared(order: Preparation, raw: Path) -> None:
    truth, inside = ball()
    for name in SESSIONS:
        stored = encode(to_frame(truth, "right_down_camera"), inside).permute(1, 2, 0).numpy()
        cv2.imwrite(str(raw / name / "sn_c.png"), np.ascontiguousarray(stored[..., ::-1]))
        cv2.imwrite(str(raw / name / "mask_c.png"), inside[0].numpy().astype(np.uint8) * 255)
    report = prepare(replace(order, source_frame="right_down_camera"))
    for record in report.records:
        assert record.truth is not None
        assert record.truth["mean"] < record.truth["plain_mean"]
        assert record.truth["median"] < 1
        assert record.bulge > 0.9
    mask = written(order.out, SESSIONS[0], "down_right_camera")[1]
    assert mask.sum() == round((1 - report.records[0].unsure) * int(inside.sum()))
    assert 0.8 * inside.sum() < mask.sum() < inside.sum()
    text = order.table(report, "ball").markdown()
    assert "mean angle to the session's own normals, deg" in text
    assert "| sessions prepared now | 3" in text


def test_a_foreign_frame_of_the_lights_is_doubted(
    order: Preparation, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        prepare(order)
        assert caplog.text == ""
        reading = Reading(lights_frame="down_right_camera")
        prepare(replace(order, reading=reading, out=order.out.with_name("other")))
    assert "try lights_frame other than down_right_camera" in caplog.text


def spoil(raw: Path) -> None:
    (raw / SESSIONS[0] / "im1.bmp").unlink()
    (raw / SESSIONS[2] / "LightSource.m").write_text("L = [9 9; 9 9; 9 9; 9 9]")


def test_all_faults_are_reported_before_any_work_or_skipped_on_demand(
    order: Preparation, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(raw)
    with pytest.raises(UserError, match="2 faults in 2 sessions") as error:
        prepare(order)
    assert "1001/a/im*: wanted 4 photographs" in str(error.value)
    assert "1002/a/LightSource.m: wanted lights that do not lie in one plane" in str(error.value)
    assert "on_error=skip" in str(error.value)
    assert not order.out.exists()
    with caplog.at_level(logging.WARNING):
        report = prepare(replace(order, on_error="skip"))
    assert (report.done, report.faulty) == (1, 2)
    assert "left out 2 sessions" in caplog.text
    assert len((order.out / "faces.csv").read_text().splitlines()) == 1 + 4


def black(raw: Path) -> None:
    for k in range(4):
        cv2.imwrite(str(raw / SESSIONS[0] / f"im{k}.bmp"), np.zeros((SIZE, SIZE, 3), np.uint8))


def empty_mask(raw: Path) -> None:
    cv2.imwrite(str(raw / SESSIONS[0] / "mask_c.png"), np.zeros((SIZE, SIZE), np.uint8))


def small_mask(raw: Path) -> None:
    cv2.imwrite(str(raw / SESSIONS[0] / "mask_c.png"), np.full((9, 9), 255, np.uint8))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (black, "1001/a/im.*wanted a face, got no pixel that three lights reach"),
        (empty_mask, "1001/a/.*mask_c.png: wanted a mask with pixels above 127"),
        (small_mask, "1001/a/.*wanted the photographs' size, 64 x 64, got 9 x 9"),
    ],
)
def test_faults_that_only_the_pixels_show(
    order: Preparation, raw: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(raw)
    with pytest.raises(UserError, match=message):
        prepare(order)
    report = prepare(replace(order, on_error="skip"))
    assert (report.done, report.kept, report.faulty) == (0, 2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame": "up"}, "frame must be .*'right_up_camera'.*, got 'up'"),
        ({"source_frame": "up"}, "source_frame must be"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip', got 'ignore'"),
        ({"processes": 0}, "processes must be a whole number from 1"),
        ({"root": Path("nowhere")}, "root=nowhere: no such folder"),
    ],
)
def test_invalid_options(order: Preparation, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepare(replace(order, **change))


def test_all_errors_in_reading_lights_are_raised_at_once() -> None:
    with pytest.raises(UserError, match=r"lights must be .*'rad'; lights_frame must be .*'up'"):
        Reading(lights="rad", lights_frame="up")  # type: ignore[arg-type]


def test_folders_that_cannot_be_written_to(order: Preparation, tmp_path: Path, raw: Path) -> None:
    with pytest.raises(UserError, match=r"must be outside root=.*PhotofaceDB"):
        prepare(replace(order, out=raw / "1001"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UserError, match="must be new, empty or written by facegeo-prepare"):
        prepare(replace(order, out=tmp_path / "mine"))
    with pytest.raises(UserError, match=r"must hold folders <subject>/<session>.*found none"):
        prepare(replace(order, root=tmp_path / "mine"))
    prepare(order)
    with pytest.raises(UserError, match="frame: down_right_camera there, right_up_camera asked"):
        prepare(replace(order, frame="right_up_camera"))
