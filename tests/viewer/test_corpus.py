"""Every real file at hand is drawn, or refused in words, and quickly."""

import io
import json
import time
from pathlib import Path

import pydicom.data
import pytest
from PIL import Image

from viewer.decode import open_instance
from viewer.errors import ViewerError
from viewer.frame_info import frame_info
from viewer.render import render_frame

LIMIT_S = 10
NOT_DICOM = {".md", ".csv", ".txt", ".py", ".pyc", ".json"}


def draw(path: Path) -> bool:
    """Draw the first and the last frame; return False when the file is refused in words."""
    started = time.monotonic()
    refusal = None
    try:
        draw_frames(path)
    except ViewerError as error:
        refusal = str(error)
    assert time.monotonic() - started < LIMIT_S, f"{path.name} took too long"
    if refusal is not None:
        assert len(refusal) > 20
        assert path.name not in refusal
    return refusal is None


def draw_frames(path: Path) -> None:
    instance = open_instance(path)
    for frame_number in {1, instance.number_of_frames}:
        info = frame_info(instance, frame_number)
        json.dumps(info, allow_nan=False)
        encoded = render_frame(instance, frame_number, media_type="image/png")
        assert info["kind"] in ("grey", "colour")
        Image.open(io.BytesIO(encoded)).verify()


def files(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in found if path.suffix not in NOT_DICOM]


def test_pydicoms_own_files_are_drawn_or_refused_in_words() -> None:
    results = [draw(path) for path in files(Path(pydicom.data.__file__).parent)]
    assert sum(results) >= 70


@pytest.mark.parametrize(
    ("folder", "drawn"),
    [
        ("charset", 14),
        ("color", 57),
        ("derived", 0),
        ("header", 9),
        ("mono", 2),
        ("multiframe", 11),
        ("objects", 12),
        ("patients", 1),
        ("series", 144),
        ("transfer-syntax", 40),
        ("voi-lut-overlay", 7),
    ],
)
def test_the_corpus_is_drawn_or_refused_in_words(corpus: Path, folder: str, drawn: int) -> None:
    assert sum(draw(path) for path in files(corpus / folder)) >= drawn
