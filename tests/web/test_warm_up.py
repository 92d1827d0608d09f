"""web.warm_up: what the first visitor would wait for is done before he comes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset

from dicom_node.study_query import StudyQuery
from web import warm_up
from web.board import board_of
from web.context import WebContext
from web.decoded_frames import FOLDER
from web.first_picture import first_picture
from web.opened_study import listed_study
from web.warm_up import WarmUp

TIMEOUT_S = 30


@contextmanager
def warming(app: Flask) -> Iterator[WebContext]:
    context: WebContext = app.extensions["lifeboat"]
    running = WarmUp(context, app.jinja_env, board_of(app), look_every_s=0.05)
    running.start()
    try:
        yield context
    finally:
        running.close()


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


def test_the_first_pictures_of_studies_nobody_opened_are_ready(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    keeper.keep_file(Path(get_testdata_file("MR_small_jp2klossless.dcm")))
    keeper.keep(make_instance(StudyInstanceUID="1.2.4", StudyDate="20991231"))
    with warming(app) as context:
        context.frames.start()
        wait_until(lambda: bool(frames_on_disk(context)))
        lists_and_pictures = 4
        wait_until(lambda: len(context.bodies) == lists_and_pictures)
    (older,) = (
        study.study_instance_uid
        for study in context.index.search_studies(StudyQuery())
        if study.study_instance_uid != "1.2.4"
    )
    opening = listed_study(context, older).opening
    assert first_picture(context, opening) is not None
    assert len(context.bodies) == lists_and_pictures


def test_the_frame_that_an_arrived_study_opens_with_is_decoded(app: Flask, keeper) -> None:
    with warming(app) as context:
        context.frames.start()
        keeper.keep_file(Path(get_testdata_file("MR_small_jp2klossless.dcm")))
        wait_until(lambda: bool(frames_on_disk(context)))


def test_a_study_is_read_while_another_one_still_arrives(
    app: Flask, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    keeper.keep(make_instance(1, StudyInstanceUID="1.2.4"))
    with warming(app) as context:
        context.frames.start()
        wait_until(lambda: len(context.bodies) > 0)
        keeper.keep_file(Path(get_testdata_file("MR_small_jp2klossless.dcm")))
        is_done = threading.Event()
        arriving = threading.Thread(target=keep_on, args=(keeper, make_instance, is_done))
        arriving.start()
        try:
            wait_until(lambda: bool(frames_on_disk(context)))
        finally:
            is_done.set()
            arriving.join()


def keep_on(keeper, make_instance: Callable[..., FileDataset], is_done: threading.Event) -> None:
    number = 1
    while not is_done.wait(0.01):
        number += 1
        keeper.keep(make_instance(number, StudyInstanceUID="1.2.4"))


def test_the_pages_are_compiled(app: Flask) -> None:
    with warming(app):
        wait_until(lambda: any(name == "viewer.html" for _, name in app.jinja_env.cache or ()))


def test_a_node_without_an_index_is_no_trouble(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with warming(app):
        time.sleep(0.2)
    assert caplog.records == []


def test_a_study_that_goes_wrong_keeps_no_other_from_being_read(
    app: Flask,
    keeper,
    make_instance: Callable[..., FileDataset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []

    def fails(_: WebContext, study_instance_uid: str) -> None:
        read.append(study_instance_uid)
        raise ZeroDivisionError

    monkeypatch.setattr(warm_up, "listed_study", fails)
    with warming(app):
        for uid in ("1.2.5", "1.2.6", "1.2.7"):
            keeper.keep(make_instance(StudyInstanceUID=uid))
            wait_until(lambda uid=uid: uid in read)
