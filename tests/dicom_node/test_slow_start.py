from hypothesis import given
from hypothesis import strategies as st

from dicom_node.slow_start import FIRST_REST_S, GOOD_FOR_ONE_MORE, LONGEST_REST_S, SlowStart


def go_well(start: SlowStart, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        start.went_well(now)


def test_it_begins_with_one_and_has_one_more_when_all_goes_well():
    start = SlowStart(3)
    assert start.wanted == 1
    go_well(start, GOOD_FOR_ONE_MORE)
    assert start.wanted == 2
    go_well(start, 2 * GOOD_FOR_ONE_MORE)
    assert start.wanted == 3
    go_well(start, 100 * GOOD_FOR_ONE_MORE)
    assert start.wanted == 3


def test_after_trouble_it_keeps_to_what_works_and_rests_longer_each_time():
    start = SlowStart(2)
    go_well(start, GOOD_FOR_ONE_MORE)
    start.had_trouble(0.0)
    go_well(start, GOOD_FOR_ONE_MORE, now=FIRST_REST_S - 1)
    assert start.wanted == 1
    go_well(start, GOOD_FOR_ONE_MORE, now=FIRST_REST_S)
    assert start.wanted == 2
    start.had_trouble(FIRST_REST_S)
    go_well(start, GOOD_FOR_ONE_MORE, now=2 * FIRST_REST_S)
    assert start.wanted == 1


def test_a_refused_further_association_costs_none_of_those_that_work():
    start = SlowStart(4)
    go_well(start, 10 * GOOD_FOR_ONE_MORE)
    start.had_trouble(0.0, works=2)
    assert start.wanted == 2


@given(
    st.integers(0, 6),
    st.lists(st.tuples(st.sampled_from(["well", "trouble"]), st.floats(0, 50), st.integers(0, 9))),
)
def test_never_more_than_the_limit_never_fewer_than_one(limit, steps):
    start, now, rests_until = SlowStart(limit), 0.0, 0.0
    for kind, pause_s, works in steps:
        now += pause_s
        before = start.wanted
        if kind == "well":
            go_well(start, 20, now)
            assert before <= start.wanted
            assert now >= rests_until or start.wanted == before
        else:
            start.had_trouble(now, works)
            rests_until = now + FIRST_REST_S
            assert start.wanted <= before
        assert 1 <= start.wanted <= max(1, limit)
    assert LONGEST_REST_S > FIRST_REST_S
