"""Folders of portraits for training, rendered where they are missing."""

from collections.abc import Sequence
from pathlib import Path

from facegeo.rendering.manifest import is_complete
from facegeo.rendering.order import MASKED, Order, as_path
from facegeo.rendering.write import fill


def ensure_portraits(
    root: Path | str,
    *,
    train: int,
    test: int,
    size: int,
    seed: int,
    frame: str = "down_right_camera",
    mask: Sequence[str] = MASKED,
    map_share: float | None = None,
    lights: Path | str | None = None,
    head: str = "anny",
    head_path: Path | str | None = None,
    processes: int | None = None,
    check_only: bool = False,
) -> Path:
    """Return a folder of portraits with normals, making it if need be.

    Args:
        root: The folder.
        train: Portraits to train on, one a person.
        test: Portraits to test on; other people.
        size: Side of the pictures, pixels.
        seed: Decides every portrait.
        frame: Axes of the stored normals.
        mask: What the masks hold, of ``skin``, ``lips`` and ``eyes``.
        map_share: Share of pictures lit by environment maps; None for the default.
        lights: Folder of the user's own maps; None for the shipped ones.
        head: ``anny`` or ``ict``.
        head_path: Where ICT-FaceKit lies, for ``ict``.
        processes: Processes to share the work; None for one a core.
        check_only: Render nothing, only look for mistakes and missing files.

    Returns:
        ``root``.

    Raises:
        UserError: If an option is out of range, a map cannot be read, or the folder holds
            something else.
    """
    order = Order(
        train=train,
        test=test,
        size=size,
        seed=seed,
        maps=True,
        layout="portraits",
        head=head,
        head_path=as_path(head_path),
        frame=frame,
        map_share=map_share,
        lights=as_path(lights),
        mask=tuple(mask),
    )
    root = Path(root).expanduser()
    if check_only:
        order.check()
        is_complete(root, order)
        return root
    fill(root, order, processes=processes)
    return root
