"""Weights that several runs of studies would train alike: trained once, taken by the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from facegeo.folder_lock import TakenError, locked
from facegeo.whole_file import write_whole

log = logging.getLogger(__name__)


class SharedWeights:
    """Weights of parts (stages, a generator) by a key that changes with all that shapes them.

    Args:
        folder: Where they are kept.
        keys: Key of each part.
    """

    def __init__(self, folder: Path, keys: Mapping[str, str]) -> None:
        self.folder, self.keys = folder, dict(keys)
        self.taken: dict[str, str] = {}

    @contextmanager
    def reserved(self, part: str, own: Path) -> Iterator[None]:
        """Have a part to oneself; ``own`` is filled if others have trained it.

        Waits while another run trains the same part. What is trained meanwhile is kept for others.

        Args:
            part: Its name.
            own: The run's file of the part's weights.
        """
        kept = self.folder / f"{self.keys[part]}.safetensors"
        lock = kept.with_suffix(".lock")
        try:
            with locked(lock):
                yield from self._exchange(part, own, kept)
        except TakenError as error:
            log.info("%s is being trained by %s; waiting for it", part, error)
            with locked(lock, wait=True):
                yield from self._exchange(part, own, kept)

    def _exchange(self, part: str, own: Path, kept: Path) -> Iterator[None]:
        if kept.is_file() and not own.is_file():
            log.info("%s was trained by another run of a study: taken from %s", part, kept)
            write_whole(own, kept.read_bytes())
            self.taken[part] = self.keys[part]
        had = own.is_file()
        yield
        if own.is_file() and not had and not kept.is_file():  # what this session trained
            write_whole(kept, own.read_bytes())
