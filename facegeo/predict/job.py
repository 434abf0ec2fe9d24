"""The work of facegeo-predict: all photos and videos, their results, progress and report."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from facegeo.errors import UserError
from facegeo.files.progress import Bar, bars
from facegeo.files.tables import Table
from facegeo.predict.drawing import Sheet
from facegeo.predict.folders import OutputFolder, Source, find_sources, open_output, shown
from facegeo.predict.photo import Boxes, Face, Image, read_photo
from facegeo.predict.predictor import Predictor
from facegeo.predict.results import LIST, Settings, list_csv, photo_files, rows_of
from facegeo.predict.video import Watched, watch

SHEET = "sheet.jpg"
NO_FACE = (
    "If a face fills each picture: detector=whole looks=2. To find more faces: "
    "detector=yunet detector.model=FILE (YuNet's file), or detector.neighbours=2."
)
COUNTED = ("photos", "faces", "videos", "frames", "faces in them", "no face", "failed")


@dataclass
class Summary:
    """Results of a command.

    Attributes:
        photos: Number of photos done.
        faces: Number of faces found in photos.
        videos: Number of videos done.
        frames: Number of their frames.
        without: Names of files in which no face was found.
        faults: Names of files that could not be done, or not to the end, and why.
        rows: Lines of the list of points.
        only_of_photos: Settings that had no effect on the videos among the files.
        skipped: Number of other files by ending.
    """

    photos: int = 0
    faces: int = 0
    videos: int = 0
    frames: int = 0
    without: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    only_of_photos: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def tables(self, out: Path) -> list[Table]:
        """Return the counts and, where there are any, the files that need attention."""
        counts = (self.photos, self.faces, self.videos, self.frames, len(self.rows) - self.faces)
        rest = (len(self.without), len(self.faults))
        without = tuple((shown(name),) for name in self.without)
        faults = tuple((shown(name), shown(why)) for name, why in self.faults)
        keys = tuple((key,) for key in self.only_of_photos)
        kinds = tuple((ending or "none", number) for ending, number in self.skipped.items())
        more = (
            Table("No face found in", ("file",), without, NO_FACE),
            Table("Not done, or not to the end", ("file", "why"), faults),
            Table("Made of photos, not of videos", ("key",), keys),
            Table("Skipped", ("files that end in", "files"), kinds),
        )
        counted = Table(f"{out}", COUNTED, ((*counts, *rest),))
        return [counted, *(table for table in more if table.rows)]


def predict_files(wanted: str, out: Path, predictor: Predictor, settings: Settings) -> Summary:
    """Predict photos and videos, ``wanted`` as ``find_sources`` has it, and write the results.

    Results of an earlier run on the same files are replaced or removed; those on other files stay,
    and so do those on files that fail now. List and sheet are of this run only.

    Raises:
        UserError: If there is no input, or the folder may not be used.
    """
    settings.pictures.check(normals=predictor.find_normals is not None)
    sources, skipped = find_sources(wanted, out)
    with open_output(out, settings.overwrite) as folder, bars() as bar:
        job = _Job(folder, predictor, settings, Summary(skipped=skipped))
        photos, done = [source for source in sources if not source.is_video], 0
        try:
            for found in _in_batches(photos, predictor, settings.batch):
                for source, result in found:
                    job.keep(source, result)
                bar("photos", done := done + len(found), len(photos))
            for source in sources:
                if source.is_video:
                    job.watch(source, bar)
        finally:  # interrupted or not: the faces found are listed
            pictures = {SHEET: job.sheet.jpeg()} if job.sheet else {}
            folder.write("", {LIST: list_csv(job.report.rows).encode()} | pictures)
    return job.report


Read = tuple[Image, Boxes] | Exception
Result = tuple[Image, list[Face]] | Exception


@dataclass
class _Job:
    """A run in progress: how its photos and videos are done, and where their results go."""

    folder: OutputFolder
    predictor: Predictor
    settings: Settings
    report: Summary
    sheet: Sheet = field(default_factory=Sheet)

    def keep(self, source: Source, result: Result) -> None:
        """Make all files of a photo, write and count them."""
        try:
            if isinstance(result, Exception):
                raise result
            photo, faces = result
            files, missing = photo_files(source.name, photo, faces, self.settings.pictures)
            self.folder.write(source.name, files)
            self.sheet.add(photo, faces)
        except Exception as error:
            self.report.faults.append((source.name, _why(source, error)))
            return
        self.report.faults += [(source.name, why) for why in missing]
        self.report.photos += 1
        self.report.faces += len(faces)
        self.report.rows += rows_of(source.name, faces)
        if not faces:
            self.report.without.append(source.name)

    def watch(self, source: Source, bar: Bar) -> None:
        """Find faces in a video, and count them."""
        self.report.only_of_photos = self.settings.pictures.only_of_photos()
        seen, tick = Watched(), partial(bar, source.name)
        try:
            watch(source, self.folder, self.predictor, self.settings, tick, seen)
        except Exception as error:
            done = f" (frames done before: {seen.frames})" if seen.frames else ""
            seen.fault = _why(source, error) + done
        finally:  # interrupted or not
            self.report.rows += seen.rows
            self.report.frames += seen.frames
        if seen.fault:
            self.report.faults.append((source.name, seen.fault))
        if seen.best is not None:
            self.report.videos += 1
            self.sheet.add(*seen.best)
            if not seen.rows:
                self.report.without.append(source.name)


def _why(source: Source, error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error).removeprefix(f"{source.path}: ")
    return f"{type(error).__name__}: {error}"


def _in_batches(
    sources: Sequence[Source], predictor: Predictor, batch: int
) -> Iterator[list[tuple[Source, Result]]]:
    """Read photos and find their boxes in threads, ahead of the networks; batch by batch."""

    def read(source: Source) -> Read:
        try:
            photo = read_photo(source.path)
            return photo, predictor.boxes_of(photo, name=source.name)
        except Exception as error:
            return error

    with ThreadPoolExecutor() as pool:
        waiting = iter(sources)
        ahead: list[tuple[Source, Future[Read]]] = []
        while True:
            ahead += [(s, pool.submit(read, s)) for s in islice(waiting, 2 * batch - len(ahead))]
            if not ahead:
                return
            now, ahead = ahead[:batch], ahead[batch:]
            yield _predict([(source, future.result()) for source, future in now], predictor)


def _predict(
    read: Sequence[tuple[Source, Read]], predictor: Predictor
) -> list[tuple[Source, Result]]:
    sound = [found for _, found in read if not isinstance(found, Exception)]
    try:
        faces = iter(predictor.in_boxes([p for p, _ in sound], [b for _, b in sound]))
    except Exception as error:
        if len(read) > 1:  # find the one that failed
            return [result for one in read for result in _predict([one], predictor)]
        return [(source, error) for source, _ in read]
    return [
        (source, found if isinstance(found, Exception) else (found[0], next(faces)))
        for source, found in read
    ]
