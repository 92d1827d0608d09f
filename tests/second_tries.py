"""Why a test needed its second try: what passes in the end is otherwise never told."""

from typing import Any, Final

_LINES: Final = 4
"""Of what was expected and found; the rest of a long difference says no more."""


def print_second_tries(terminalreporter: Any) -> None:
    """Print where each first try failed and with what words, also of what ran elsewhere."""
    reports = terminalreporter.stats.get("rerun", [])
    if not reports:
        return
    terminalreporter.section("why a second try was needed")
    for report in reports:
        terminalreporter.write_line(f"{report.nodeid} ({report.when})")
        for line in reason_of(report.longreprtext):
            terminalreporter.write_line(f"    {line}")


def reason_of(failure: str) -> list[str]:
    """Return the line where a test failed, and the first lines of its error."""
    lines = failure.splitlines()
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
    return [*lines[-1:], *filter(None, errors[:_LINES])]
