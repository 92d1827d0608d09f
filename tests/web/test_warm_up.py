"""web.warm_up: what the first visitor would wait for is done before he comes."""

from collections.abc import Callable

from flask import Flask
from pydicom.dataset import FileDataset

from web.warm_up import start_warm_up


def test_the_newest_study_is_read_and_nothing_is_changed(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    keeper.keep(make_instance())
    context = app.extensions["lifeboat"]
    thread = start_warm_up(context)
    thread.join(20)
    assert not thread.is_alive()
    assert context.index.counts()["instances"] == 1


def test_a_node_without_an_index_is_no_trouble(app: Flask, caplog) -> None:
    thread = start_warm_up(app.extensions["lifeboat"])
    thread.join(20)
    assert not thread.is_alive()
    assert caplog.records == []
