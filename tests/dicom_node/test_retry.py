from hypothesis import given
from hypothesis import strategies as st

from dicom_node.retry import Pause, retry_delay_s
from dicom_node.setting_tables import SyncSettings


def test_the_wait_doubles_up_to_the_longest():
    sync = SyncSettings(retry_min_s=15, retry_max_s=300)
    waits = [retry_delay_s(failures, sync, 0.5) for failures in range(7)]
    assert waits == [15, 30, 60, 120, 240, 300, 300]


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_wait_never_leaves_its_bounds(failures, jitter):
    wait_s = retry_delay_s(failures, SyncSettings(), jitter)
    assert 0.8 * 15 <= wait_s <= 1.2 * 300


def test_a_pause_ends_by_itself_and_grows_until_something_succeeds():
    now = [0.0]
    pause = Pause(SyncSettings(retry_min_s=10, retry_max_s=300), lambda: now[0], lambda: 0.5)
    assert not pause.is_on()
    for wait_s in (10, 20, 40):
        pause.begin()
        now[0] += wait_s - 1
        assert pause.is_on()
        now[0] += 1
        assert not pause.is_on()
    pause.end()
    pause.begin()
    now[0] += 10
    assert not pause.is_on()
