"""JSON and CSV hold the results, and can be read again."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from facegeo.geometry.windows import POINT_NAMES
from facegeo.predict.boxes import BoxFile
from facegeo.predict.photo import Face
from facegeo.predict.results import faces_json, frame_json, list_csv, rows_of, video_json
from facegeo.predict.tracks import Seen

RANDOM = np.random.default_rng(0)
FACE = Face(
    box=(1.5, 21.5, 2.25, 22.25),
    stages=RANDOM.uniform(0, 30, (3, 5, 2)).astype(np.float32),
    square=(1, 2, 30),
    normals=np.zeros((8, 8, 3), np.float32),
    mask=np.ones((8, 8), bool),
    timings={"points": 1.25},
)
PLAIN = Face(box=(0, 9, 0, 9), stages=FACE.stages[:1])


def test_json_has_the_faces_without_their_normal_maps() -> None:
    text = faces_json("a b/ü.jpg", (30, 40), [FACE, PLAIN])
    record = json.loads(text)
    assert record["file"] == "a b/ü.jpg"
    assert (record["height"], record["width"]) == (30, 40)
    assert record["point_names"] == list(POINT_NAMES)
    for got, wanted in zip(record["faces"], [FACE, PLAIN], strict=True):
        assert got["box"] == list(wanted.box)
        assert got["square"] == (wanted.square and list(wanted.square))
        assert got["timings_ms"] == wanted.timings
        np.testing.assert_allclose(got["stages"], wanted.stages, atol=5e-4)


def test_json_of_a_video_has_a_line_a_frame() -> None:
    lines = [frame_json(n, n / 25, [Seen(3, n == 0)], [PLAIN]) for n in range(2)]
    text = video_json("clip.mp4", (30, 40), 25.0, lines)
    record = json.loads(text)
    face = {"track": 3, **PLAIN.record()}
    assert record["frames"] == [
        {"frame": 0, "seconds": 0, "faces": [{**face, "detected": True}]},
        {"frame": 1, "seconds": 0.04, "faces": [{**face, "detected": False}]},
    ]
    assert record["frames_per_second"] == 25
    assert sum(line.startswith('  {"frame"') for line in text.splitlines()) == 2
    assert json.loads(video_json("clip.mp4", (30, 40), 25.0, []))["frames"] == []


def test_the_list_has_a_row_a_face(tmp_path: Path) -> None:
    rows = rows_of("a, b.jpg", [FACE, PLAIN]) + rows_of("clip.mp4", [PLAIN], 7, [Seen(3, False)])
    text = list_csv(rows)
    read = list(csv.DictReader(io.StringIO(text)))
    assert [(row["file"], row["frame"], row["face"], row["detected"]) for row in read] == [
        ("a, b.jpg", "", "0", "1"),
        ("a, b.jpg", "", "1", "1"),
        ("clip.mp4", "7", "3", "0"),
    ]
    places = [float(read[0][f"{name}_{axis}"]) for name in POINT_NAMES for axis in "xy"]
    np.testing.assert_allclose(places, FACE.points.ravel(), atol=5e-4)
    (tmp_path / "points.csv").write_text(text)
    again = BoxFile(str(tmp_path / "points.csv"))(np.zeros((30, 40, 3), np.uint8), "a, b.jpg")
    np.testing.assert_allclose(again, [FACE.box, PLAIN.box])
