"""The long form of the comparisons is left out unless LIFEBOAT_GOLDEN=all asks for it."""

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("LIFEBOAT_GOLDEN") == "all":
        return
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    long = [item for item in ours if item.get_closest_marker("all_files")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)
