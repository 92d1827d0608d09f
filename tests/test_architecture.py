"""The house: which room may import which, no circles, small files, few broad excepts."""

import ast
import statistics
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = ("dicom_node", "viewer", "web", "sample_data")
MAY_IMPORT = {
    "dicom_node": set(),
    "viewer": set(),
    "web": {"viewer", "dicom_node"},
    "sample_data": set(),
}
DEMO = REPOSITORY / "sample_data" / "demo.py"  # plays the node, so it reads what the node wrote
NOT_IN_VIEWER = {"flask", "sqlalchemy", "pynetdicom", "socket", "http"}
NOT_IN_NODE = {"flask", "PIL", "cv2", "imagecodecs", "numpy"}
FILE_LINES = 500
MEDIAN_FUNCTION_LINES = 12


def files(room: str) -> list[Path]:
    return sorted((REPOSITORY / room).rglob("*.py"))


ALL_FILES = [path for room in ROOMS for path in files(room)] + [REPOSITORY / "lifeboat.py"]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, module_level_only: bool = False) -> set[str]:
    """Return the modules a file imports, by full name."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if module_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_rooms_import_only_downward(path):
    room = path.relative_to(REPOSITORY).parts[0]
    if room not in ROOMS:
        return
    allowed = MAY_IMPORT[room] | ({"dicom_node"} if path == DEMO else set())
    used = {name.split(".")[0] for name in imports(path)} & set(ROOMS)
    assert used - {room} <= allowed


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_each_room_keeps_to_its_trade(path):
    room = path.relative_to(REPOSITORY).parts[0]
    roots = {name.split(".")[0] for name in imports(path)}
    if room == "viewer":
        assert not roots & NOT_IN_VIEWER
    if room == "dicom_node":
        assert not roots & NOT_IN_NODE
    if room != "lifeboat.py":
        assert "lifeboat" not in roots


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_no_file_imports_through_the_door_of_its_own_room(path):
    tree = ast.parse(path.read_text())
    room = path.relative_to(REPOSITORY).parts[0]
    modules = {name_of(other) for other in ALL_FILES}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == room:
            assert all(f"{room}.{alias.name}" in modules for alias in node.names)


def test_no_circles():
    modules = {name_of(path): path for path in ALL_FILES}
    graph = {
        name: {other for other in imports(path) if other in modules and other != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_no_file_outgrows_its_room(path):
    assert len(path.read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("room", ROOMS)
def test_functions_are_small(room):
    lengths = [
        node.end_lineno - node.lineno + 1 - _docstring_lines(node)
        for path in files(room)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert statistics.median(lengths) <= MEDIAN_FUNCTION_LINES


def _docstring_lines(node: ast.FunctionDef) -> int:
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first.end_lineno - first.lineno + 1 if is_docstring else 0


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_broad_excepts_say_why(path):
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if "except Exception" in line or "except BaseException" in line:
            reason = line.partition("#")[2]
            is_cleanup = "except BaseException" in line  # and raises it again
            assert is_cleanup or len(reason) > 20, f"{path.name}:{number}"
        assert not line.strip().startswith("except:"), f"{path.name}:{number}"


def test_nothing_in_the_project_names_how_it_was_organised():
    words = ("shared/reference", "the issue says", "acceptance criteria of issue")
    for path in [*ALL_FILES, *REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]:
        text = path.read_text()
        assert not [word for word in words if word in text], path
