"""The house rules that a machine can check: who imports whom, file names and sizes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import facegeo

PACKAGE = Path(facegeo.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# From the bottom up: a part imports from parts before it. The wings do not know each other.
WINGS = {"landmarks", "normals"}
LAYERS = [
    {"errors", "checks"},
    {"geometry"},
    {"files"},
    {"training", "papers"},
    {"rendering"},
    WINGS,
    {"surfaces"},
    {"export"},
    {"predict"},
    {"runs"},
    {"studies"},
    {"bench"},
    {"cli", "__init__"},
]
# Libraries that only some parts import.
OWNERS = {
    "hydra": {"runs", "studies", "cli"},
    "omegaconf": {"papers", "runs", "studies", "cli"},
    "lightning": {"runs", "landmarks", "normals", "training", "bench"},
    "wandb": {"runs", "studies"},
    "wandb_workspaces": {"studies"},
    "albumentations": {"normals"},
    "anny": {"rendering"},
    "warp": {"rendering"},
    "matplotlib": {"training", "landmarks", "normals", "predict"},
    "plotly": {"studies"},
    "jinja2": {"studies"},
    "scipy": {"studies", "surfaces"},
    "trimesh": {"surfaces"},
    "onnx": {"export"},
    "onnxruntime": {"export", "bench"},
    "onnxscript": {"export"},
    "dlib": {"bench"},
    "facenet_pytorch": {"bench"},
    "PIL": {"files", "surfaces", "predict"},
}
SLOW = {"torch", "torchmetrics", "cv2"} | set(OWNERS) - {"hydra", "omegaconf"}
MAX_LINES = 500
SAYS_NOTHING = {"utils", "helpers", "common", "base", "misc", "types"}


def test_imports_point_down_and_the_wings_do_not_know_each_other() -> None:
    level = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    offences = [
        f"{file.relative_to(PACKAGE)} imports {module}"
        for file in FILES
        for module in imports(file)
        if module.startswith("facegeo.")
        for part, other in [(part_of(file), module.split(".")[1])]
        if level[other] > level[part] or {part, other} == WINGS
    ]
    assert offences == []


def test_a_library_is_imported_by_its_owners_only() -> None:
    offences = [
        f"{file.relative_to(PACKAGE)} imports {module}"
        for file in FILES
        for module in imports(file)
        if part_of(file) not in OWNERS.get(module.split(".")[0], {part_of(file)})
    ]
    assert offences == []


def test_commands_import_nothing_slow_before_they_run() -> None:
    offences = [
        f"{file.relative_to(PACKAGE)} imports {module}"
        for file in [PACKAGE / "__init__.py", *(PACKAGE / "cli").glob("*.py")]
        for module in imports(file, inside_functions=False)
        if module.split(".")[0] in SLOW
    ]
    assert offences == []


def test_files_are_named_for_their_one_subject() -> None:
    lines = {file.relative_to(PACKAGE): len(file.read_text().splitlines()) for file in FILES}
    assert {file: count for file, count in lines.items() if count > MAX_LINES} == {}
    assert [file for file in lines if file.stem in SAYS_NOTHING] == []


def part_of(file: Path) -> str:
    """Name the folder or module right below ``facegeo`` that a file belongs to."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(file: Path, *, inside_functions: bool = True) -> Iterator[str]:
    """Yield the full name of each module that a file imports, but for its type checker."""
    pending: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "facegeo":
            names = {alias.name for alias in node.names} - {"__version__"}
            yield from (f"facegeo.{name}" for name in sorted(names))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} must import by full name, got a relative import"
            yield str(node.module)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending += ast.iter_child_nodes(node)
