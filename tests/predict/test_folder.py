"""Nothing that is not ours is ever replaced, and nothing is written elsewhere."""

from pathlib import Path

import pytest
from facegeo.predict.folder import RECORD, open_output

from facegeo.errors import UserError
from facegeo.files.writing import LOCK


def test_our_own_files_are_replaced_and_listed_once(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with open_output(tmp_path / "out") as out:
            out.write("a/b.json", text)
            out.write("c.json", text)
    assert (tmp_path / "out/a/b.json").read_text() == "two"
    assert (tmp_path / "out" / RECORD).read_text().splitlines()[1:] == ["a/b.json", "c.json"]


def test_a_file_is_listed_before_it_is_written(tmp_path: Path) -> None:
    """So that a process that is killed in between leaves nothing that stops the next one."""
    with open_output(tmp_path / "out") as out:
        path = out.claim("film.mp4")
        assert not path.exists()
        assert "film.mp4" in (tmp_path / "out" / RECORD).read_text()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    with open_output(tmp_path / "out") as out:
        (tmp_path / "out/a.json").write_text("mine")
        (tmp_path / "out/link.json").symlink_to("nowhere")
        for name in ("a.json", "link.json"):
            with pytest.raises(UserError, match=rf"{name} was not written by facegeo-predict"):
                out.write(name, "ours")
    assert (tmp_path / "out/a.json").read_text() == "mine"


@pytest.mark.parametrize("name", ["../a.json", "link/a.json", "/tmp/a.json"])
def test_no_path_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with open_output(tmp_path / "out") as out:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "out/link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UserError, match="lies outside"):
            out.write(name, "x")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_of_others_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="must be new, empty or written by facegeo-predict"):
        open_output(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(UserError, match="must be a folder, found a file"):
        open_output(tmp_path / "notes.txt").__enter__()


@pytest.mark.parametrize("name", ["written.txt", RECORD])
def test_a_list_of_somebody_is_no_record_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a.json\n")
    with pytest.raises(UserError, match="must be new, empty or written by facegeo-predict"):
        open_output(tmp_path).__enter__()


def test_a_name_with_other_ends_of_lines_in_it_is_one_name(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with open_output(tmp_path / "out") as out:
            path = out.write("a\u2028b\rc.json", text)
    assert path.read_text() == "two"


@pytest.mark.parametrize("left", [(LOCK,), (LOCK, RECORD)])
def test_a_process_killed_as_it_began_stops_no_other(tmp_path: Path, left: tuple[str]) -> None:
    for name in left:
        (tmp_path / name).touch()
    for text in ("one", "two"):
        with open_output(tmp_path) as out:
            out.write("a.json", text)
    assert (tmp_path / "a.json").read_text() == "two"


def test_stale_files_go_and_others_stay(tmp_path: Path) -> None:
    names = {
        "x/a.jpg": {"x/a.jpg.json", "x/a.jpg.points.jpg", "x/a_jpg-1a2b.mtl"},
        "x/a.jpg.webp": {"x/a.jpg.webp.json"},
        "": {"sheet.jpg"},
    }
    with open_output(tmp_path / "out") as out:
        for out.source, own in names.items():
            for name in own:
                out.write(name, "")
    (tmp_path / "out/x/a.jpg.txt").write_text("mine")
    with open_output(tmp_path / "out") as out:
        out.source = "x/a.jpg"
        out.write("x/a.jpg.json", "")
        out.drop_stale({"sheet.jpg", "x/a.jpg"})
    left = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.*")}
    assert left - {LOCK, RECORD} == {"x/a.jpg.json", "x/a.jpg.webp.json", "x/a.jpg.txt"}


def test_a_name_that_was_dropped_is_ours_no_more(tmp_path: Path) -> None:
    with open_output(tmp_path / "out") as out:
        out.write("a.json", "ours")
    with open_output(tmp_path / "out") as out:
        out.drop_stale({"a.json"})
    (tmp_path / "out/a.json").write_text("the user's")
    with (
        open_output(tmp_path / "out") as out,
        pytest.raises(UserError, match=r"a\.json was not written by facegeo-predict"),
    ):
        out.write("a.json", "ours")


def test_two_do_not_write_at_once(tmp_path: Path) -> None:
    with (
        open_output(tmp_path / "out"),
        pytest.raises(UserError, match=r"output=.*: process \d+ on .* writes there; wait"),
    ):
        open_output(tmp_path / "out").__enter__()
