"""The figures of a run: what was measured, what came out, what it had to be."""

from typing import Any

import pytest

PROPERTY = "fault figure"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Any:
    """Enter a figure in the table at the end of the run."""

    def enter(what: str, value: object, bar: object) -> None:
        request.node.user_properties.append((PROPERTY, [what, str(value), str(bar)]))

    return enter


def print_figures(terminalreporter: Any) -> None:
    """Print the table, also of what ran in other processes."""
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if not rows:
        return
    terminalreporter.section("faults: what | figure | bar")
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for what, value, bar in sorted(rows):
        terminalreporter.write_line(f"{what:{widths[0]}} | {value:{widths[1]}} | {bar}")
