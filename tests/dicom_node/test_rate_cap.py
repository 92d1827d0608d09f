from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dicom_node.rate_cap import BURST_S, Allowance, RateCap

rates = st.floats(0.01, 1e6)
pauses = st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 50)), min_size=1, max_size=40)


@given(rates, pauses)
def test_no_stretch_of_time_holds_more_than_the_rate_allows(rate, steps):
    allowance, now, begun = Allowance(rate, 0.0), 0.0, []
    for pause_s, amount in steps:
        now += pause_s
        now += allowance.take(amount, now)
        begun.append((now, amount))
    for first in range(len(begun)):
        used = 0.0
        for at, amount in begun[first:]:
            allowed = rate * (at - begun[first][0] + BURST_S)
            assert used <= allowed * (1 + 1e-9) + 1e-6
            used += amount


@given(rates, pauses)
def test_nobody_waits_longer_than_what_was_used_before_costs(rate, steps):
    allowance, now, used = Allowance(rate, 0.0), 0.0, 0.0
    for pause_s, amount in steps:
        now += pause_s
        assert allowance.take(amount, now) <= used / rate + 1e-6
        used += amount


@given(pauses)
def test_no_limit_is_no_wait(steps):
    allowance = Allowance(0, 0.0)
    assert not any(allowance.take(amount, at) for at, amount in steps)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_images_and_bits_are_held_to_their_rates():
    time, told = Time(), []
    cap = RateCap(20, 8, lambda: told.append(time.now), time, time.sleep)
    for _ in range(100):
        cap.wait_for_image()
        for _ in range(4):
            cap.wait_for_bytes(25_000)
    # 100 images at 20 a second, 10 MB at 1 MB a second: the slower rules
    assert 9.5 <= time.now - 1000 <= 10.1
    assert len(told) > 100


def test_a_long_wait_tells_that_it_is_alive():
    time, told = Time(), []
    cap = RateCap(0.05, 0, lambda: told.append(time.now), time, time.sleep)
    cap.wait_for_image()
    cap.wait_for_image()
    cap.wait_for_image()
    assert max(b - a for a, b in pairwise(told)) <= 1
