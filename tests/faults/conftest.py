"""The fault suite: every test has one body and two sizes, quick and full."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.figures import figure
from tests.faults.node import FaultyNode
from tests.faults.volumes import mounts

__all__ = ["figure", "mounts"]

IS_FULL = os.environ.get("LIFEBOAT_FAULTS", "quick") == "full"
TIMEOUT_S, FULL_TIMEOUT_S = 600, 5400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give them time, for they wait on processes."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.timeout(FULL_TIMEOUT_S if IS_FULL else TIMEOUT_S))


@pytest.fixture(scope="session")
def size() -> Callable[[int, int], int]:
    """Choose between the quick and the full size of something."""
    return lambda quick, full: full if IS_FULL else quick


@pytest.fixture
def make_faulty_node(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[Callable[..., FaultyNode]]:
    nodes: list[FaultyNode] = []

    def make(*settings: str, data: Path | None = None, environment: tuple[str, ...] = ()):
        folder = tmp_path / f"faulty{len(nodes)}"
        folder.mkdir()
        ports = free_ports(2)
        nodes.append(FaultyNode(folder, ports, *settings, data=data, environment=environment))
        return nodes[-1]

    yield make
    for node in nodes:
        for process in node.processes.values():
            process.kill()
            process.wait()
