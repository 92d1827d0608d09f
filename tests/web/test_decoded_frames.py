"""Compressed frames behind the web room's door: caged, decoded once, and ahead of being asked."""

import http.client
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless, generate_uid
from werkzeug.test import create_environ

from dicom_node.settings import Settings
from viewer.decode import Instance
from viewer.errors import UnsafePixels
from web.app import create_app
from web.context import EXTENSION, WebContext
from web.limits import BoundedWork

ROWS, COLUMNS = 64, 48


def picture(number: int) -> Any:
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS]
    return ((rows * 30 + columns * 20 + number * 11) % 4096).astype(np.uint16)


@pytest.fixture
def make_series(make_instance: Callable[..., FileDataset]) -> Callable[[int], list[FileDataset]]:
    """Make a JPEG-LS series of slices."""

    def make(slices: int) -> list[FileDataset]:
        study, series = generate_uid(), generate_uid()
        made = []
        for number in range(slices):
            dataset = make_instance(
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                InstanceNumber=number + 1,
                Rows=ROWS,
                Columns=COLUMNS,
                BitsAllocated=16,
                BitsStored=12,
                HighBit=11,
                PixelRepresentation=0,
                SamplesPerPixel=1,
                PhotometricInterpretation="MONOCHROME2",
                ImagePositionPatient=[0, 0, number],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            )
            dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
            dataset.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(picture(number)))])
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
            made.append(dataset)
        return made

    return make


def cached(settings: Settings) -> list[Path]:
    return sorted((settings.node.data / "cache" / "frames").glob("*.frame"))


def pixels_path(address: Callable[..., str], dataset: FileDataset) -> str:
    return f"/api/v1{address(dataset)}/frames/1/pixels"


def test_compressed_pixels_are_right_and_kept_for_other_processes(
    client: FlaskClient, keeper: Any, make_series: Any, address: Any, settings: Settings
) -> None:
    [dataset] = make_series(1)
    keeper.keep(dataset)
    answer = client.get(pixels_path(address, dataset))
    assert answer.status_code == 200, answer.json
    np.testing.assert_array_equal(
        np.frombuffer(answer.data, "<u2").reshape(ROWS, COLUMNS), picture(0)
    )
    assert len(cached(settings)) == 1


def test_native_pixels_are_not_copied_to_the_cache(
    client: FlaskClient, held: FileDataset, address: Any, settings: Settings
) -> None:
    assert client.get(pixels_path(address, held)).status_code == 200
    assert cached(settings) == []


def test_threads_that_ask_at_once_decode_once(
    app: Any,
    keeper: Any,
    make_series: Any,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [dataset] = make_series(1)
    keeper.keep(dataset)
    context: WebContext = app.extensions[EXTENSION]
    record = context.record(
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    )
    decoded: list[int] = []
    decode = Instance.stored_frame

    def counted(self: Instance, number: int, decoder: Any = None) -> Any:
        decoded.append(number)
        return decode(self, number, decoder)

    monkeypatch.setattr(Instance, "stored_frame", counted)
    with ThreadPoolExecutor(16) as threads:
        frames = list(threads.map(lambda _: context.open(record).stored_frame(1), range(16)))
    assert decoded == [1]
    assert all(np.array_equal(frame, picture(0)) for frame in frames)


def test_who_waits_for_one_picture_of_a_compressed_frame_keeps_nobody_from_making_it(
    app: Flask, keeper: Any, make_series: Any, address: Any
) -> None:
    """All but one wait for him who waits for the decoder, and he needs no place to go on."""
    [dataset] = make_series(1)
    keeper.keep(dataset)
    context: WebContext = app.extensions[EXTENSION]
    bounded = BoundedWork(app, 8, context.frames.at_work)
    environ = create_environ(f"/dicom-web{address(dataset)}/rendered", "http://127.0.0.1")
    answers: list[str] = []

    def ask(_number: int) -> None:
        bounded(dict(environ), lambda status, _headers: answers.append(status))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(ask, range(32), timeout=60))
    assert answers == ["200 OK"] * 32


def test_the_frames_ahead_are_decoded_before_they_are_asked_for(
    client: FlaskClient, keeper: Any, make_series: Any, address: Any, settings: Settings, wait: Any
) -> None:
    series = make_series(30)
    keeper.keep(*series)
    client.get(pixels_path(address, series[10]))
    wait(lambda: len(cached(settings)) == 11, 30)  # itself, 8 ahead, 2 behind
    client.get(pixels_path(address, series[9]))
    wait(lambda: len(cached(settings)) == 18, 30)  # turned round: 7 to 1 as well
    assert client.get(pixels_path(address, series[1])).status_code == 200


def test_pixels_that_changed_on_disk_are_decoded_anew(
    keeper: Any, make_series: Any, address: Any, settings: Settings
) -> None:
    [dataset] = make_series(1)
    keeper.keep(dataset)
    for _ in range(2):
        app = create_app(settings)
        answer = app.test_client().get(pixels_path(address, dataset))
        app.extensions[EXTENSION].close()
        assert answer.status_code == 200
        assert len(cached(settings)) == 1
    [path] = (settings.node.data / "instances").rglob("*.dcm")
    os.utime(path, (1, 1))
    app = create_app(settings)
    app.test_client().get(pixels_path(address, dataset))
    app.extensions[EXTENSION].close()
    assert len(cached(settings)) == 2


def test_a_frame_that_cannot_be_decoded_safely_says_so_in_words(
    client: FlaskClient, app: Any, keeper: Any, make_series: Any, address: Any
) -> None:
    [dataset] = make_series(1)
    keeper.keep(dataset)
    pool = app.extensions[EXTENSION].frames._pool

    def lost(*_: Any) -> Any:
        raise UnsafePixels("It could not be decoded safely. It is stored safely.")

    pool.decode = lost
    answer = client.get(pixels_path(address, dataset))
    assert answer.status_code == 406
    assert answer.json["error"]["code"] == "unsafe-pixels"
    assert "stored safely" in answer.json["error"]["message"]


def test_a_disk_with_little_room_still_shows_pictures(
    keeper: Any, make_series: Any, address: Any, settings: Settings
) -> None:
    [dataset] = make_series(1)
    keeper.keep(dataset)
    short = replace(settings.storage, reserve_bytes=2**60)
    app = create_app(replace(settings, storage=short))
    assert app.test_client().get(pixels_path(address, dataset)).status_code == 200
    app.extensions[EXTENSION].close()
    assert cached(settings) == []


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid, *(other for child in children for other in family(child))]


def commands(pids: list[int]) -> list[str]:
    return [
        path.read_text().replace("\0", " ")
        for path in (Path(f"/proc/{pid}/cmdline") for pid in pids)
        if path.exists()
    ]


def decoders(pid: int) -> list[int]:
    return [one for one in family(pid) if any("viewer.decode_worker" in c for c in commands([one]))]


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_served_node_starts_its_decoders_and_leaves_no_process(
    start_web: Callable[..., Any], wait: Any
) -> None:
    web = start_web("web.workers=2")
    wait(lambda: len(decoders(web.process.pid)) == 2, 30)
    all_of_them = family(web.process.pid)
    web.stop()
    wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in all_of_them), 10)


def test_decoders_do_not_outlive_a_killed_web_process(
    start_web: Callable[..., Any], wait: Any
) -> None:
    web = start_web("web.decode_workers=2")
    wait(lambda: len(decoders(web.process.pid)) == 2, 30)
    left = decoders(web.process.pid)
    [worker] = [pid for pid in family(web.process.pid)[1:] if pid not in left]
    os.kill(worker, 9)
    wait(lambda: "viewer.decode_worker" not in "".join(commands(left)), 10)


def test_two_processes_show_many_frames_and_their_memory_stays_flat(
    start_web: Callable[..., Any],
    keeper: Any,
    make_series: Any,
    address: Any,
    settings: Settings,
    wait: Any,
) -> None:
    series = make_series(60)
    keeper.keep(*series)
    web = start_web("web.workers=2", "web.cache_bytes=200000")
    wait(lambda: len(decoders(web.process.pid)) == 2, 30)
    paths = [pixels_path(address, dataset) for dataset in series]
    ask_all(web.port, paths * 3)
    serving = [pid for pid in family(web.process.pid)[1:] if pid not in decoders(web.process.pid)]
    before = [resident_bytes(pid) for pid in serving]
    ask_all(web.port, paths * 6)
    grown = [resident_bytes(pid) - size for pid, size in zip(serving, before, strict=True)]
    assert max(grown) < 8 * 1024**2
    assert sum(path.stat().st_size for path in cached(settings)) <= 200000 * 1.1


def ask_all(port: int, paths: list[str]) -> None:
    """Ask for pixels, each on a connection that any of the processes may take."""
    for start in range(0, len(paths), 20):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for path in paths[start : start + 20]:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            assert len(answer.read()) == ROWS * COLUMNS * 2
        connection.close()


def test_a_decoder_that_dies_under_a_request_is_replaced(
    start_web: Callable[..., Any], keeper: Any, make_series: Any, address: Any, wait: Any
) -> None:
    [dataset] = make_series(1)
    keeper.keep(dataset)
    web = start_web()
    wait(lambda: len(decoders(web.process.pid)) == 1, 30)
    os.kill(decoders(web.process.pid)[0], 9)
    status, body = ask(web.port, pixels_path(address, dataset))
    assert status == 200, body


def ask(port: int, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body if answer.status == 200 else json.loads(body)
