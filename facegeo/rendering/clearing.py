"""Remove the faces that a folder holds, and nothing else."""

from pathlib import Path
from shutil import rmtree

from facegeo.rendering.manifest import LEFTOVER, UNFINISHED, mark_unfinished
from facegeo.rendering.order import SPLITS, tasks
from facegeo.rendering.workers import LAYOUT_MAKERS


def remove_faces(root: Path) -> None:
    """Remove every file that a folder's manifest accounts for, but the manifest itself.

    Folders that are empty then go too; what else lies there stays.

    Raises:
        UserError: If the manifest can not be read.
    """
    # Should this be killed half-way, the folder must not pass for a complete one.
    options = mark_unfinished(root)
    rmtree(root / UNFINISHED, ignore_errors=True)
    layout = LAYOUT_MAKERS[options["layout"]]()
    files = {root / name for name in layout.lists(dict.fromkeys(SPLITS, ()))}
    for task in tasks(options["train"], options["test"]):
        files |= {root / name for name in layout.paths(task)}
    for file in files:
        file.unlink(missing_ok=True)
    folders = {folder for file in files for folder in file.parents if root in folder.parents}
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        for leftover in folder.glob(LEFTOVER):
            leftover.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
