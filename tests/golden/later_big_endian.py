"""32 bit pixels in big endian OW, in both orders that writers use.

Not collected by its name: the viewer reads one of the two orders. Once it reads both, rename it
`test_big_endian.py` and take the row out of `test_dcmtk.py` and `docs/rendering.md`.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import require_program
from tests.golden.files import find
from viewer.decode import open_instance


@pytest.mark.peer
@pytest.mark.parametrize("frame", [1, 8, 15])
def test_a_dose_is_the_same_in_every_byte_order(tmp_path: Path, frame: int) -> None:
    """PS3.5 6.2 and 7.3: OW is words of 16 bits, so a value of 32 bits is two, the low one first.

    DCMTK writes that; pydicom's own file has the bytes of one word of 32 bits.
    """
    by_dcmtk = tmp_path / "big.dcm"
    subprocess.run([require_program("dcmconv"), "+tb", find("rtdose.dcm"), by_dcmtk], check=True)
    expected = open_instance(find("rtdose.dcm")).stored_frame(frame)
    for path in (by_dcmtk, find("rtdose_expb.dcm")):
        assert np.array_equal(open_instance(path).stored_frame(frame), expected), path.name
