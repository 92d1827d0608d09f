"""viewer.test_pattern: known grey levels, at every size."""

import numpy as np
import pytest

from viewer.test_pattern import LARGEST_PX, SMALLEST_PX, STEPS, pattern


@pytest.mark.parametrize("size", [(320, 320), (1280, 720), (1081, 1919)])
def test_the_pattern_holds_every_level_it_promises(size: tuple[int, int]) -> None:
    picture = pattern(*size)
    height, width = picture.shape
    assert (width, height) == size
    steps = picture[height * 35 // 100, width // 10 : width * 9 // 10]
    assert len(set(steps.tolist())) == STEPS
    assert (steps[0], steps[-1]) == (0, 255)
    ramp = picture[height * 75 // 100, width // 10 : width * 9 // 10]
    assert (np.diff(ramp.astype(int)) >= 0).all()
    faint = picture[height * 55 // 100, width // 10 : width * 9 // 10]
    assert set(faint.tolist()) == {0, 13, 255, 242}


def test_the_frame_and_the_lines_reach_the_outermost_pixels() -> None:
    picture = pattern(640, 480)
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()
    assert picture[5, 5:9].tolist() in ([255, 0, 255, 0], [0, 255, 0, 255])


def test_no_size_makes_a_picture_beyond_the_limits() -> None:
    assert pattern(1, 100_000).shape == (LARGEST_PX, SMALLEST_PX)
