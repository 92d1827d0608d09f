"""What can wait stands behind those who receive, and takes nobody else back with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

STEP_BACK = """
import os, pathlib
from dicom_node.process import stand_behind_reception
stand_behind_reception()
group = pathlib.Path("/proc/self/autogroup")
print(os.nice(0), group.read_text().split()[-1:] if group.exists() else [])
"""


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_process_stands_back_with_its_session_where_that_is_its_own(is_alone):
    done = subprocess.run(
        [sys.executable, "-c", STEP_BACK],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=is_alone,
    )
    nice, of_session = done.stdout.split()
    assert int(nice) == min(19, os.nice(0) + 10)
    ours = nice_of_our_session()
    assert of_session == str(["10"] if is_alone and ours else ours)


def nice_of_our_session() -> list[str]:
    """Nothing where the kernel offers no groups, or none to a process in a control group."""
    group = Path("/proc/self/autogroup")
    return group.read_text().split()[-1:] if group.exists() else []
