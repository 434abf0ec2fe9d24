"""The layout of portraits: one photograph, normal map, mask and label map a person."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from facegeo.rendering.labels import NOTE, label_map, masked
from facegeo.rendering.landmark_folder import LISTS, POINTS, list_line
from facegeo.rendering.order import FRAMES, SPLITS, Made, Order, Purpose, Task
from facegeo.rendering.photo import jpeg_bytes, png_bytes
from facegeo.rendering.photoface_folder import AXES, CSV
from facegeo.rendering.sample import Sample, Studio

NAMES = ("le", "re", "n", "lm", "rm")
COLUMNS = ("face", "normal", "mask", "label", "left", "top", "right", "bottom")
HEADER = ",".join([*COLUMNS, *(f"{axis}_{name}" for name in NAMES for axis in "xy")])


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
            "labels": NOTE,
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


def _normals(sample: Sample, mask: NDArray[np.bool_], frame: str) -> bytes:
    """Return a NumPy file of the normals inside a mask, float16, shape (H, W, 3)."""
    channels = [sample.render.normals[..., axis] * sign for axis, sign in AXES[frame]]
    stored = np.where(mask[..., None], np.stack(channels, axis=-1), 0).astype(np.float16)
    file = io.BytesIO()
    np.save(file, stored, allow_pickle=False)
    return file.getvalue()
