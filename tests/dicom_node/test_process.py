"""What can wait stands behind those who receive, and takes nobody else back with it."""

import os
import subprocess
import sys

import pytest

STEP_BACK = """
import os, pathlib
from dicom_node.process import stand_behind_reception

def of_session():
    group = pathlib.Path("/proc/self/autogroup")
    # nothing where the kernel offers no groups, or none to a process in a control group
    return (group.read_text() if group.exists() else "").split()[-1:] or ["none"]

before = of_session()[0]
stand_behind_reception()
after = of_session()[0]
print(os.nice(0), before, after)
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
    nice, before, after = done.stdout.split()
    assert int(nice) == min(19, os.nice(0) + 10)
    assert after == ("10" if is_alone and before != "none" else before)
