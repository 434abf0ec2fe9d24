"""The layout of Photoface as public code reads it: sessions of four photographs, one light each."""

from collections.abc import Mapping, Sequence

import numpy as np

from facegeo.rendering.order import FRAMES, SPLITS, Made, Order, Purpose, Task
from facegeo.rendering.photo import Bytes, normal_colours, png_bytes
from facegeo.rendering.sample import Studio
from facegeo.rendering.session import LIGHTS_DEG, Session, photograph_session

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


def stored_normals(session: Session, frame: str) -> Bytes:
    """Return the normal map as colours in a frame of ``AXES``, white where no face is."""
    channels = [session.render.normals[..., axis] * sign for axis, sign in AXES[frame]]
    return normal_colours(np.stack(channels, axis=-1), session.render.mask)


def light_source(session: Session) -> bytes:
    """Return MATLAB source with zenith and azimuth of each light."""
    lines = [LIGHT_NOTE]
    for number, (zenith, azimuth) in enumerate(session.angles_deg, start=1):
        lines += [f"zenith{number} = [{zenith:.4f}];", f"azimuth{number} = [{azimuth:.4f}];"]
    return "".join(f"{line}\n" for line in lines).encode()
