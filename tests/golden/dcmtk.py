"""Grey pictures by DCMTK's dcmj2pnm, an implementation that shares nothing with the viewer."""

import io
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import require_program
from tests.golden.decoding import JPEG_LS

Levels = NDArray[np.int64]


def draw(path: Path, *options: str) -> Levels | None:
    """Return 8 bit grey levels without overlays, one pixel for each stored one; None = refused."""
    command = [require_program("dcmj2pnm"), "-q", "-O", "-S", "+op", *options, str(path)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode or not done.stdout:
        return None
    return np.asarray(Image.open(io.BytesIO(done.stdout))).astype(np.int64)


def draw_any(path: Path, transfer_syntax_uid: str, *options: str) -> Levels | None:
    """As `draw`; what DCMTK decodes by another of its programs is decoded first."""
    if transfer_syntax_uid not in JPEG_LS:
        return draw(path, *options)
    with tempfile.TemporaryDirectory() as folder:
        native = Path(folder) / "native.dcm"
        subprocess.run(
            [require_program("dcmdjpls"), "-q", path, native],
            capture_output=True,
            timeout=60,
            check=False,
        )
        return draw(native, *options) if native.exists() else None
