"""web.opened_study: the list of a study is kept while it is true; what opens it is known."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from pydicom.dataset import FileDataset

from web.opened_study import opened_study, opening_frame


def series(modality: str, counts: list[int], rows: int | None = 64) -> dict[str, Any]:
    """Describe a series whose instances have so many frames each, all in one stack."""
    return {
        "series_instance_uid": f"1.{modality}",
        "modality": modality,
        "instances": [{"sop_instance_uid": f"1.{n}", "rows": rows} for n in range(len(counts))],
        "stacks": [{"frames": [(n, 1, count) for n, count in enumerate(counts)]}],
    }


@pytest.mark.parametrize(
    ("found", "opening"),
    [
        ([series("CT", [1, 1, 1, 1, 1])], ("1.CT", "1.2", 1)),
        ([series("MR", [1, 1, 1, 1])], ("1.MR", "1.2", 1)),
        ([series("CT", [1, 1])], ("1.CT", "1.0", 1)),
        ([series("US", [1, 1, 1])], ("1.US", "1.0", 1)),
        ([series("PT", [2, 6, 2])], ("1.PT", "1.1", 4)),
        ([series("SR", [1], rows=None), series("DX", [1])], ("1.DX", "1.0", 1)),
        ([series("SR", [1], rows=None)], None),
        ([], None),
    ],
)
def test_a_study_opens_where_the_viewer_opens_it(
    found: list[dict[str, Any]], opening: tuple[str, str, int] | None
) -> None:
    assert opening_frame(found) == opening


def test_the_list_is_made_once_until_something_arrives(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    first = make_instance(1)
    keeper.keep(first)
    context = app.extensions["lifeboat"]
    study = first.StudyInstanceUID
    before = opened_study(context, study)
    assert opened_study(context, study) is before
    keeper.keep(make_instance(2, StudyInstanceUID=study))
    assert opened_study(context, study) != before


def test_damage_found_later_is_told(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    instance = make_instance(1)
    keeper.keep(instance)
    context = app.extensions["lifeboat"]
    assert b"damaged on disk" not in opened_study(context, instance.StudyInstanceUID).series
    [path] = context.index.paths()
    keeper.index.mark_damaged(path, "2026-11-22T12:00:00Z")
    assert b"damaged on disk" in opened_study(context, instance.StudyInstanceUID).series
