"""Objects made to hurt, drawn by the viewer alone: a picture or a reason, within its limits.

The fault suite sends the same objects to a whole node. Here they come straight from the store, as
after an upgrade or a copy by hand, and nothing stands before the viewer. Each is drawn in a
process with limited memory and time, where a sound object of the same series is drawn afterwards.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.faults import abuse_datasets as ds
from tests.faults.test_abuse_dataset import CASES, PICTURE, PLACEHOLDER

MEMORY_BYTES = 150e6
LARGER = {"row45-deflate-bomb": 350e6}
"""The viewer inflates up to its cap of 256 MiB; the node refuses such an object at the door."""
LONG = (
    "row58-900000-fragments",
    "row58-a-million-fragments-before-the-pixels",
    "row60-500000-items-undefined",
    "row60-as-many-elements-as-are-shown",
    "row60-as-many-items-as-are-shown",
)
"""Slower kin of other rows, left to the fault suite."""
NAMES = [name for name in CASES if name not in LONG]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("abuse")
    neighbour = folder / "neighbour.dcm"
    uid = ds.new_uid()
    neighbour.write_bytes(ds.part10(ds.ct(uid), uid))
    paths = []
    for name in NAMES:
        case, uid = CASES[name], ds.new_uid()
        paths.append(folder / f"{name}.dcm")
        paths[-1].write_bytes(ds.part10(case.make(uid), uid, case.syntax))
    done = subprocess.run(
        [sys.executable, "-m", "tests.viewer.apart", neighbour, *paths],
        capture_output=True,
        timeout=150,
        check=True,
        cwd=REPOSITORY,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
    )
    lines = done.stdout.decode().splitlines()
    return dict(zip(NAMES, map(json.loads, lines), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_drawn_or_refused_with_a_reason(answers: Any, name: str) -> None:
    answer = answers[name]
    assert "ended" not in answer, "its limits of memory or of 10 s of time ended it"
    allowed = CASES[name].shown
    if allowed:
        assert (PLACEHOLDER if answer["code"] else PICTURE) in allowed, answer["code"]
    assert answer["code"] != "viewer-error"
    assert answer["growth"] < LARGER.get(name, MEMORY_BYTES)
    assert answer["neighbour"]
