"""Which files are meant, and what they are called."""

from pathlib import Path

import pytest
from facegeo.predict.folder import open_output
from facegeo.predict.sources import find_sources

from facegeo.errors import UserError

FILES = ("b.jpg", "a/c.PNG", "a/clip.mp4", "a/notes.txt", "out/b.jpg.points.jpg", "[x]/d.jpg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def names(wanted: object, photos: Path) -> list[str]:
    return [source.name for source in find_sources(str(wanted), photos / "out")[0]]


def test_a_file_is_called_by_its_name(photos: Path) -> None:
    assert names(photos / "a/c.PNG", photos) == ["c.PNG"]


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


def test_a_pattern_names_from_its_first_wildcard_on(photos: Path) -> None:
    assert names(photos / "*/c*", photos) == ["a/c.PNG", "a/clip.mp4"]
    assert names(photos / "a/c*", photos) == ["c.PNG", "clip.mp4"]
    assert names(photos / "**/*.jpg", photos) == ["[x]/d.jpg", "b.jpg"]


def test_a_pattern_that_climbs_does_not_climb_out_of_the_output(photos: Path) -> None:
    (photos / "a/in").mkdir()
    assert names(photos / "a/*/../../b.*", photos) == ["b.jpg"]


def test_a_file_or_folder_whose_name_looks_like_a_pattern(photos: Path) -> None:
    assert names(photos / "[x]/d.jpg", photos) == ["d.jpg"]
    assert names(photos / "[x]", photos) == ["d.jpg"]


def test_output_of_an_earlier_run_is_no_input_unless_it_is_named(photos: Path) -> None:
    with open_output(photos / "a/found/deep") as out:
        out.write("b.jpg.points.jpg", b"")
        out.write("more/b.jpg.points.jpg", b"")
    assert names(photos, photos) == ["[x]/d.jpg", "a/c.PNG", "a/clip.mp4", "b.jpg"]
    assert names(photos / "a/**/*", photos) == ["c.PNG", "clip.mp4"]
    found = ["b.jpg.points.jpg", "more/b.jpg.points.jpg"]
    assert names(photos / "a/found/deep", photos) == found


@pytest.mark.parametrize("wanted", ["", "a", "*.jpg"])
def test_an_output_that_holds_its_input_is_a_mistake(photos: Path, wanted: str) -> None:
    with pytest.raises(UserError, match=r"output=.* holds all of input=.*; choose another folder"):
        find_sources(str(photos / wanted), photos)


@pytest.mark.parametrize("wanted", ["gone", "gone.jpg", "*.gif", "a/*.txt", "empty"])
def test_nothing_is_a_mistake(photos: Path, wanted: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(UserError, match=r"input=.*: wanted .*photo.*, found none"):
        names(photos / wanted, photos)
