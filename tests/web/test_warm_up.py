"""web.warm_up: what the first visitor would wait for is done before he comes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset

from web.context import WebContext
from web.decoded_frames import FOLDER
from web.warm_up import WarmUp

TIMEOUT_S = 30


@contextmanager
def warming(app: Flask) -> Iterator[WebContext]:
    context: WebContext = app.extensions["lifeboat"]
    warm_up = WarmUp(context, look_every_s=0.05)
    warm_up.start()
    try:
        yield context
    finally:
        warm_up.close()


def wait_until(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def frames_on_disk(context: WebContext) -> list[Path]:
    return list((context.settings.node.data / FOLDER).glob("*.frame"))


def test_the_newest_study_is_read_and_nothing_is_changed(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    keeper.keep(make_instance())
    with warming(app) as context:
        wait_until(lambda: len(context.bodies) > 0)
        assert context.index.counts()["instances"] == 1


def test_the_frame_that_an_arrived_study_opens_with_is_decoded(app: Flask, keeper) -> None:
    with warming(app) as context:
        context.frames.start()
        keeper.keep_file(Path(get_testdata_file("MR_small_jp2klossless.dcm")))
        wait_until(lambda: bool(frames_on_disk(context)))


def test_a_node_without_an_index_is_no_trouble(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with warming(app):
        time.sleep(0.2)
    assert caplog.records == []
