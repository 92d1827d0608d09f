import fnmatch
import time

from hypothesis import given
from hypothesis import strategies as st

from web.wildcards import matches_wildcards


@given(st.text("ab", max_size=8), st.text("ab*?", max_size=8))
def test_it_agrees_with_the_shell(text: str, pattern: str) -> None:
    assert matches_wildcards(text, pattern) == fnmatch.fnmatchcase(text, pattern)


def test_no_pattern_holds_it_up() -> None:
    start = time.perf_counter()
    assert not matches_wildcards("a" * 5000, "*a" * 200 + "b")
    assert time.perf_counter() - start < 5


def test_brackets_are_plain_characters() -> None:
    assert matches_wildcards("[a]", "[a]")
    assert not matches_wildcards("a", "[a]")
