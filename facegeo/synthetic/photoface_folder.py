"""The layout of Photoface as public code reads it: sessions of four photographs, one light each."""

from collections.abc import Mapping, Sequence

from facegeo.synthetic.order import SPLITS, Made, Order, Task
from facegeo.synthetic.sample import Studio


class PhotofaceFolder:
    """Folders ``<subject>/<session>``; the csv files have one column, ``face``."""

    def make(self, studio: Studio, order: Order, task: Task) -> Made:
        """Make one session."""
        raise NotImplementedError

    def frame(self, order: Order) -> str | None:
        """Say how normals are stored."""
        return None

    def lists(self, order: Order, records: Mapping[str, Sequence[str]]) -> Mapping[str, bytes]:
        """Return train.csv and test.csv."""
        return {f"{s}.csv": "\n".join(["face", *records[s], ""]).encode() for s in SPLITS}
