"""The layout of Sun et al. (CVPR 2013): two lists, and pictures beside them."""

from collections.abc import Mapping, Sequence

import numpy as np

from facegeo.rendering.order import SPLITS, Made, Order, Purpose, Task
from facegeo.rendering.photo import jpeg_bytes, normal_colours, png_bytes
from facegeo.rendering.sample import Sample, Studio

LISTS = {"train": "trainImageList.txt", "test": "testImageList.txt"}
NORMALS = "x right, y up, z to the camera; colour = (n + 1) / 2 * 255; white: no face"
POINTS = "left eye, right eye, nose tip, mouth corners; 0-based pixels, x right, y down"


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


def list_line(path: str, sample: Sample) -> str:
    """Return a sample's line; the box in whole pixels, the points with six decimals."""
    box = sample.box
    edges = (box.left, box.left + box.side, box.top, box.top + box.side)
    numbers = [str(round(edge)) for edge in edges]
    return " ".join([path, *numbers, *(f"{value:.6f}" for value in sample.points.ravel())])
