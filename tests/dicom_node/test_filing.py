"""dicom_node.filing: what the index keeps of an instance."""

import pytest

from dicom_node.filing import MOST_FRAMES, possible_frames


@pytest.mark.parametrize(
    ("claimed", "size_bytes", "frames"),
    [
        (None, 1000, 1),
        (1, 1, 1),
        (0, 1000, 1),
        (-5, 1000, 1),
        (300, 40, 300),
        (321, 40, 1),
        (MOST_FRAMES, 10**9, MOST_FRAMES),
        (2_000_000_000, 10**12, 1),
    ],
)
def test_no_instance_has_more_frames_than_its_file_can_hold(
    claimed: int | None, size_bytes: int, frames: int
) -> None:
    assert possible_frames(claimed, size_bytes) == frames
