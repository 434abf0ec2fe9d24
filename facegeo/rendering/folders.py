"""Layouts of folders of generated faces, label maps, and contact sheets."""

import io
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facegeo.errors import UserError
from facegeo.files.writing import write_whole
from facegeo.rendering.heads import Part
from facegeo.rendering.order import FRAMES, SPLITS, Layout, Made, Order, Purpose, Task, tasks
from facegeo.rendering.photo import Bytes, jpeg_bytes, normal_colours, png_bytes
from facegeo.rendering.render import Render
from facegeo.rendering.studio import (
    LIGHTS_DEG,
    Sample,
    Session,
    Studio,
    photograph_session,
    studio_for,
)

IN_MOUTH = (Part.MOUTH, Part.TONGUE, Part.TEETH)
RED = 0.5
"""Share of the lips' red above which skin counts as lips."""
LABEL_NOTE = (
    "0 background, 1 skin of the face with brows, 2 eyes with the rims of their lids, 3 lips, "
    "4 inside of the mouth with teeth and tongue, 5 hair, 6 ears, neck and scalp, 7 clothes"
)
LISTS = {"train": "trainImageList.txt", "test": "testImageList.txt"}
NORMALS = "x right, y up, z to the camera; colour = (n + 1) / 2 * 255; white: no face"
POINTS = "left eye, right eye, nose tip, mouth corners; 0-based pixels, x right, y down"
SESSIONS = 2
"""Sessions of each subject."""
AXES = {
    "down_right_camera": ((1, -1), (0, 1), (2, 1)),
    "right_up_camera": ((0, 1), (1, 1), (2, 1)),
}
"""Axis and sign that each stored channel takes from x right, y up, z to the camera."""
LIGHT_NOTE = "% zenith: angle from the camera axis; azimuth: from image right towards up; degrees"
LIGHTS = "LightSource.m"
CSV = {split: f"{split}.csv" for split in SPLITS}
NAMES = ("le", "re", "n", "lm", "rm")
COLUMNS = ("face", "normal", "mask", "label", "left", "top", "right", "bottom")
HEADER = ",".join([*COLUMNS, *(f"{axis}_{name}" for name in NAMES for axis in "xy")])
SHEET_QUALITY = 85


class Label(IntEnum):
    """Value of a pixel; ``SKIN`` is the face proper, brows included, ``REST`` all other skin."""

    BACKGROUND = 0
    SKIN = 1
    EYES = 2
    LIPS = 3
    MOUTH = 4
    HAIR = 5
    REST = 6
    CLOTH = 7


def label_map(render: Render) -> NDArray[np.uint8]:
    """Return the ``Label`` of each pixel, shape (H, W)."""
    labels = np.full(render.parts.shape, Label.BACKGROUND, dtype=np.uint8)
    labels[render.parts == Part.SKIN] = Label.REST
    labels[render.mask] = Label.SKIN
    labels[(render.parts == Part.SKIN) & (render.lips > RED)] = Label.LIPS
    labels[render.parts == Part.EYE] = Label.EYES
    labels[np.isin(render.parts, IN_MOUTH)] = Label.MOUTH
    labels[render.parts == Part.HAIR] = Label.HAIR
    labels[render.parts == Part.CLOTH] = Label.CLOTH
    return labels


def masked(labels: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.bool_]:
    """Return where a label map has one of the named labels, of ``order.MASKED``; shape (H, W)."""
    return np.isin(labels, [Label[name.upper()] for name in names])


class LandmarkFolder:
    """Lists of ``path left right top bottom x1 y1 .. x5 y5``, CRLF, backslash in the path."""

    def make(self, studio: Studio, order: Order, task: Task) -> Made:
        """Make one picture, its line and, if ordered, its normal map and mask."""
        sample = studio.photograph(task.key(Purpose.FACE, order.seed), order.size)
        # A generator of its own, so that the option changes nothing but the compression.
        rng = np.random.default_rng(task.key(Purpose.QUALITY, order.seed))
        low, high = order.quality
        quality = int(rng.integers(low, high + 1))
        picture, normals, masks = self.paths(task)
        files = {picture: jpeg_bytes(sample.image, quality)}
        if order.maps:
            colours = normal_colours(sample.render.normals, sample.render.mask)
            files[normals] = png_bytes(colours)
            mask = sample.render.mask.astype(np.uint8) * 255
            files[masks] = png_bytes(mask)
        return Made(files, list_line(picture.replace("/", "\\"), sample))

    def notes(self, order: Order) -> Mapping[str, str]:
        """Say how points and normals are stored."""
        return {"points": POINTS, **({"normals": NORMALS} if order.maps else {})}

    def paths(self, task: Task) -> Sequence[str]:
        """Return the files of one task, maps included."""
        name = f"{task.split}/{task.number:06d}"
        return [f"{name}.jpg", f"normals/{name}.png", f"masks/{name}.png"]

    def lists(self, records: Mapping[str, Sequence[str]]) -> Mapping[str, bytes]:
        """Return the two lists."""
        return {
            LISTS[split]: "".join(line + "\r\n" for line in records[split]).encode()
            for split in SPLITS
        }


class PhotofaceFolder:
    """Folders ``<subject>/<session>``; ``train.csv`` and ``test.csv`` have one column, ``face``."""

    def make(self, studio: Studio, order: Order, task: Task) -> Made:
        """Make one session; subjects have ``SESSIONS`` each and never change split."""
        subject = Task(task.split, task.number // SESSIONS)
        session = photograph_session(
            studio,
            person=subject.key(Purpose.PERSON, order.seed),
            session=task.key(Purpose.SESSION, order.seed),
            size=order.size,
        )
        *pictures, normals, mask, lights = self.paths(task)
        files = {
            path: png_bytes(image) for path, image in zip(pictures, session.images, strict=True)
        }
        record = "\n".join(files)
        files[normals] = png_bytes(stored_normals(session, order.frame))
        files[mask] = png_bytes(session.render.mask.astype(np.uint8) * 255)
        files[lights] = light_source(session)
        return Made(files, record, pictures=len(session.images))

    def notes(self, order: Order) -> Mapping[str, str]:
        """Say how normals, pixels and lights are stored."""
        return {
            "normals": f"{FRAMES[order.frame]}; colour = (n + 1) / 2 * 255; white: no face",
            "pixels": "linear in light; the four photographs of a session share one exposure",
            "lights": "towards the light, x right, y up, z to the camera: "
            "(sin zenith cos azimuth, sin zenith sin azimuth, cos zenith)",
        }

    def paths(self, task: Task) -> Sequence[str]:
        """Return the files of one session: photographs, normals, mask, lights."""
        subject, number = divmod(task.number, SESSIONS)
        folder = f"{SPLITS.index(task.split) + 1}{subject:05d}/session{number + 1}"
        pictures = [f"im{k}_c.png" for k in range(len(LIGHTS_DEG))]
        return [f"{folder}/{name}" for name in (*pictures, "sn_c.png", "mask_c.png", LIGHTS)]

    def lists(self, records: Mapping[str, Sequence[str]]) -> Mapping[str, bytes]:
        """Return train.csv and test.csv."""
        return {
            CSV[split]: "".join(f"{line}\n" for line in ["face", *records[split]]).encode()
            for split in SPLITS
        }


class PortraitFolder:
    """Folders ``<subject>/portrait``; two csv lists, and the two lists of ``LandmarkFolder``.

    ``train.csv`` and ``test.csv`` name photograph, normal map, mask and label map of each sample
    and give the face's box and five points in pixels, so that both models can be trained.
    """

    def make(self, studio: Studio, order: Order, task: Task) -> Made:
        """Make one sample; every sample shows another person."""
        sample = studio.photograph(task.key(Purpose.FACE, order.seed), order.size)
        rng = np.random.default_rng(task.key(Purpose.QUALITY, order.seed))
        low, high = order.quality
        labels = label_map(sample.render)
        mask = masked(labels, order.mask)
        photo, normals, mask_file, label_file = self.paths(task)
        files = {
            photo: jpeg_bytes(sample.image, int(rng.integers(low, high + 1))),
            normals: _normals(sample, mask, order.frame),
            mask_file: png_bytes(mask.astype(np.uint8) * 255),
            label_file: png_bytes(labels),
        }
        box = sample.box
        edges = (box.left, box.top, box.left + box.side, box.top + box.side)
        numbers = [*(f"{edge:.3f}" for edge in edges), *(f"{v:.3f}" for v in sample.points.ravel())]
        return Made(files, "\n".join([",".join([*files, *numbers]), list_line(photo, sample)]))

    def notes(self, order: Order) -> Mapping[str, str]:
        """Say how normals, labels and points are stored."""
        return {
            "normals": f"{FRAMES[order.frame]}; float16 unit vectors, 0 outside the mask",
            "pixels": "sRGB",
            "labels": LABEL_NOTE,
            "mask": f"labels {', '.join(order.mask)}",
            "points": POINTS,
        }

    def paths(self, task: Task) -> Sequence[str]:
        """Return the files of one sample: photograph, normals, mask, labels."""
        folder = f"{SPLITS.index(task.split) + 1}{task.number:06d}/portrait"
        return [f"{folder}/{name}" for name in ("photo.jpg", "normal.npy", "mask.png", "label.png")]

    def lists(self, records: Mapping[str, Sequence[str]]) -> Mapping[str, bytes]:
        """Return train.csv and test.csv, and the lists of Sun et al. for the same pictures."""
        lines = {split: [record.split("\n") for record in records[split]] for split in SPLITS}
        tables = {
            CSV[split]: "".join(f"{row}\n" for row in [HEADER, *(pair[0] for pair in lines[split])])
            for split in SPLITS
        }
        tables |= {
            LISTS[split]: "".join(pair[1].replace("/", "\\") + "\r\n" for pair in lines[split])
            for split in SPLITS
        }
        return {name: text.encode() for name, text in tables.items()}


FOLDERS: dict[str, type[Layout]] = {
    "landmarks": LandmarkFolder,
    "photoface": PhotofaceFolder,
    "portraits": PortraitFolder,
}


def list_line(path: str, sample: Sample) -> str:
    """Return a sample's line; the box in whole pixels, the points with six decimals."""
    box = sample.box
    edges = (box.left, box.left + box.side, box.top, box.top + box.side)
    numbers = [str(round(edge)) for edge in edges]
    return " ".join([path, *numbers, *(f"{value:.6f}" for value in sample.points.ravel())])


def stored_normals(session: Session, frame: str) -> Bytes:
    """Return the normal map as colours in a frame of ``AXES``, white where no face is."""
    return normal_colours(_in_frame(session.render, frame), session.render.mask)


def light_source(session: Session) -> bytes:
    """Return MATLAB source with zenith and azimuth of each light."""
    lines = [LIGHT_NOTE]
    for number, (zenith, azimuth) in enumerate(session.angles_deg, start=1):
        lines += [f"zenith{number} = [{zenith:.4f}];", f"azimuth{number} = [{azimuth:.4f}];"]
    return "".join(f"{line}\n" for line in lines).encode()


def _in_frame(render: Render, frame: str) -> NDArray[np.float32]:
    """Return normals in a frame of ``AXES``, shape (H, W, 3)."""
    channels = [render.normals[..., axis] * sign for axis, sign in AXES[frame]]
    return np.stack(channels, axis=-1)


def _normals(sample: Sample, mask: NDArray[np.bool_], frame: str) -> bytes:
    """Return a NumPy file of the normals inside a mask, float16, shape (H, W, 3)."""
    stored = np.where(mask[..., None], _in_frame(sample.render, frame), 0).astype(np.float16)
    file = io.BytesIO()
    np.save(file, stored, allow_pickle=False)
    return file.getvalue()


def write_sheet(path: Path, order: Order, rows: int, columns: int, *, maps: bool = False) -> None:
    """Write the first faces of an order's training list side by side.

    Args:
        path: A ``.jpg`` or ``.png`` file.
        order: Decides faces and size.
        rows: Of the sheet.
        columns: Of the sheet; counted in faces.
        maps: Put the normal map and the mask of each face beside it.

    Raises:
        UserError: If the path has another ending or the grid is empty.
    """
    if path.suffix not in (".jpg", ".png"):
        raise UserError(f"sheet must end in .jpg or .png, got {path.name}")
    if min(rows, columns) < 1:
        raise UserError(f"sheet_grid must be two numbers from 1 up, got [{rows}, {columns}]")
    studio = studio_for(order)
    tiles = [
        _tile(studio.photograph(task.key(Purpose.FACE, order.seed), order.size), order, maps=maps)
        for task in tasks(rows * columns, 0)
    ]
    strips = [np.hstack(tiles[row * columns : (row + 1) * columns]) for row in range(rows)]
    sheet = np.vstack(strips)
    write_whole(
        path, jpeg_bytes(sheet, SHEET_QUALITY) if path.suffix == ".jpg" else png_bytes(sheet)
    )


def _tile(sample: Sample, order: Order, *, maps: bool) -> Bytes:
    if not maps:
        return sample.image
    mask = sample.render.mask
    if order.layout == "portraits":
        mask = masked(label_map(sample.render), order.mask)
    normals = normal_colours(sample.render.normals, mask)
    white = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=-1)
    return np.hstack([sample.image, normals, white])
