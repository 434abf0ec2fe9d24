"""Input files and their names; in the output folder only files of our own are replaced."""

from pathlib import Path

import pytest

from facegeo.errors import UserError
from facegeo.files.writing import LOCK
from facegeo.predict.folders import RECORD, find_sources, open_output

FILES = ("b.jpg", "a/c.PNG", "a/clip.mp4", "a/notes.txt", "out/b.jpg.points.jpg", "[x]/d.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def names(wanted: object, photos: Path) -> list[str]:
    return [source.name for source in find_sources(str(wanted), photos / "out")[0]]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a/c.PNG", ["c.PNG"]),
        ("*/c*", ["a/c.PNG", "a/clip.mp4"]),  # named from the first wildcard on
        ("a/c*", ["c.PNG", "clip.mp4"]),
        ("**/*.jpg", ["[x]/d.jpg", "b.jpg"]),
        ("a/*/../../b.*", ["b.jpg"]),  # and never above the output
        ("[x]/d.jpg", ["d.jpg"]),  # these are no patterns
        ("[x]", ["d.jpg"]),
    ],
)
def test_files_are_named_relative_to_the_input(photos: Path, wanted: str, found: list[str]) -> None:
    (photos / "a/in").mkdir()
    assert names(photos / wanted, photos) == found


def test_a_folder_gives_photos_and_videos_at_any_depth_but_no_output(photos: Path) -> None:
    assert names(photos, photos) == ["[x]/d.jpg", "a/c.PNG", "a/clip.mp4", "b.jpg"]
    found, skipped = find_sources(str(photos), photos / "out")
    assert [source.name for source in found if source.is_video] == ["a/clip.mp4"]
    assert skipped == {".txt": 1}


def test_other_files_are_counted_but_for_hidden_ones(photos: Path) -> None:
    for name in ("a/1.heic", "a/2.HEIC", "a/none", "a/.hidden", "out/3.heic"):
        (photos / name).write_bytes(b"")
    assert find_sources(str(photos), photos / "out")[1] == {".heic": 2, ".txt": 1, "": 1}


@pytest.mark.parametrize("wanted", ["", " "])
def test_no_input_is_not_the_current_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.chdir(photos)
    with pytest.raises(UserError, match="input is empty: wanted a photo"):
        find_sources(wanted, photos / "out")


def test_output_of_an_earlier_run_is_no_input_unless_it_is_named(photos: Path) -> None:
    with open_output(photos / "a/found/deep") as out:
        out.write("b.jpg", {"b.jpg.points.jpg": b"", "more/b.jpg.points.jpg": b""})
    assert names(photos, photos) == ["[x]/d.jpg", "a/c.PNG", "a/clip.mp4", "b.jpg"]
    assert names(photos / "a/**/*", photos) == ["c.PNG", "clip.mp4"]
    found = ["b.jpg.points.jpg", "more/b.jpg.points.jpg"]
    assert names(photos / "a/found/deep", photos) == found


@pytest.mark.parametrize("wanted", ["", "a", "*.jpg"])
def test_an_output_that_holds_its_input_is_refused(photos: Path, wanted: str) -> None:
    with pytest.raises(UserError, match=r"output=.* holds all of input=.*; choose another folder"):
        find_sources(str(photos / wanted), photos)


@pytest.mark.parametrize("wanted", ["gone", "gone.jpg", "*.gif", "a/*.txt", "empty"])
def test_an_empty_input_is_refused(photos: Path, wanted: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(UserError, match=r"input=.*: wanted .*photo.*, found none"):
        names(photos / wanted, photos)


def test_own_files_are_replaced_and_listed_once(tmp_path: Path) -> None:
    names = ["a/b.json", "a\u2028b\rc.json"]
    for text in (b"one", b"two"):
        with open_output(tmp_path / "out") as out:
            out.write("a/b", dict.fromkeys(names, text))
    assert [(tmp_path / "out" / name).read_bytes() for name in names] == [b"two", b"two"]
    record = (tmp_path / "out" / RECORD).read_bytes().decode()
    assert record.split("\n")[1:] == [*(f"{name}\0a/b" for name in names), ""]


def test_a_file_is_listed_before_it_is_written(tmp_path: Path) -> None:
    """So that a killed process leaves nothing that stops the next one."""
    with open_output(tmp_path / "out") as out:
        path = out.claim("film", "film.mp4")
        assert not path.exists()
        assert "film.mp4" in (tmp_path / "out" / RECORD).read_text()


def test_files_of_others_are_kept_unless_overwrite_is_set(tmp_path: Path) -> None:
    with open_output(tmp_path / "out") as out:
        (tmp_path / "out/a.json").write_text("mine")
        with pytest.raises(UserError, match=r"a\.json was not written by .*overwrite=true"):
            out.write("a", {"a.png": b"", "a.json": b"ours"})
    assert not (tmp_path / "out/a.png").exists()
    assert (tmp_path / "out/a.json").read_text() == "mine"
    with open_output(tmp_path / "out", overwrite=True) as out:
        out.write("a", {"a.json": b"ours"})
    assert (tmp_path / "out/a.json").read_text() == "ours"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("listed", [False, True])
def test_links_are_not_followed(tmp_path: Path, overwrite: bool, listed: bool) -> None:
    target = tmp_path / "precious.txt"
    target.write_text("mine")
    with open_output(tmp_path / "out") as out:
        out.write("a", {"a.mp4": b""} if listed else {"b": b""})
    (tmp_path / "out/a.mp4").unlink(missing_ok=True)
    (tmp_path / "out/a.mp4").symlink_to(target)
    with open_output(tmp_path / "out", overwrite) as out:
        with pytest.raises(UserError, match=r"a\.mp4 is a link"):
            out.claim("a", "a.mp4")
        out.drop_others("a", [])
    assert (tmp_path / "out/a.mp4").is_symlink()
    assert target.read_text() == "mine"


@pytest.mark.parametrize("name", [RECORD, LOCK])
def test_a_record_or_lock_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    with open_output(tmp_path / "out"):
        pass
    (tmp_path / "out" / name).rename(tmp_path / "precious")
    before = (tmp_path / "precious").read_bytes()
    (tmp_path / "out" / name).symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match=r"is a link|must be new"):
        open_output(tmp_path / "out").__enter__()
    assert (tmp_path / "precious").read_bytes() == before


@pytest.mark.parametrize("name", ["../a.json", "link/a.json", "{tmp}/a.json"])
def test_nothing_outside_the_folder_is_written_or_removed(tmp_path: Path, name: str) -> None:
    name, inside = name.format(tmp=tmp_path), tmp_path / "out"
    with open_output(inside):
        pass
    with (inside / RECORD).open("a") as record:
        record.write(f"{name}\0a\n")
    (tmp_path / "elsewhere").mkdir()
    (inside / "link").symlink_to(tmp_path / "elsewhere")
    (inside / name).write_text("mine")
    with open_output(inside) as out:
        with pytest.raises(UserError, match="is outside"):
            out.write("a", {name: b"x"})
        out.write("a", {"a.png": b""})
    assert (inside / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", RECORD, LOCK])
def test_a_folder_of_others_and_a_file_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a.json\n")
    with pytest.raises(UserError, match=rf"output=.* holds {name}; .*overwrite=true"):
        open_output(tmp_path).__enter__()
    with pytest.raises(UserError, match="must be a folder, found a file"):
        open_output(tmp_path / name).__enter__()
    assert (tmp_path / name).read_text() == "a.json\n"


def test_older_results_of_a_source_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    names = {
        "x/a.jpg": ["x/a.jpg.json", "x/a.jpg.points.jpg", "x/a_jpg-1a2b.mtl"],
        "x/a.jpg.webp": ["x/a.jpg.webp.json"],
        "": ["points.csv", "sheet.jpg"],
    }
    with open_output(tmp_path / "out") as out:
        for source, own in names.items():
            out.write(source, dict.fromkeys(own, b""))
    (tmp_path / "out/x/a.jpg.txt").write_text("mine")
    with open_output(tmp_path / "out") as out:
        out.write("x/a.jpg", {"x/a.jpg.json": b""})
        out.write("", {"points.csv": b""})
    left = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.*")}
    kept = {"x/a.jpg.json", "x/a.jpg.webp.json", "x/a.jpg.txt", "points.csv"}
    assert left - {LOCK, RECORD} == kept
    (tmp_path / "out/sheet.jpg").write_text("mine")  # no longer ours
    with open_output(tmp_path / "out") as out, pytest.raises(UserError, match="not written by"):
        out.claim("", "sheet.jpg")


def test_two_processes_do_not_write_at_once(tmp_path: Path) -> None:
    with (
        open_output(tmp_path / "out"),
        pytest.raises(UserError, match=r"output=.*: process \d+ on .* writes there; wait"),
    ):
        open_output(tmp_path / "out").__enter__()
