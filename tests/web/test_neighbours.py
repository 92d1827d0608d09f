"""A bad instance harms none of its series: the others are drawn while it is looked at."""

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.faults import abuse_datasets as ds
from tests.faults.test_abuse_dataset import CASES, PICTURE, PLACEHOLDER

ROOT = "1.2.826.0.1.3680043.8.498.9."
SOUND = f"{ROOT}1000"
SECONDS = 10.0
BAD = [
    name
    for name, case in CASES.items()
    if "row50" <= name[:5] <= "row59" and case.shown and case.statuses == (0,)
    if name != "row58-900000-fragments"
]
"""The slowest is left to the fault suite, which measures it alone."""


def of_one_series(data_set: bytes, uid: str) -> bytes:
    """Give a data set the study and the series of the sound instance."""
    for suffix in (".1", ".2"):
        data_set = data_set.replace(f"{uid}{suffix}".encode(), f"{SOUND}{suffix}".encode())
    return data_set


def path_of(uid: str) -> str:
    return f"/dicom-web/studies/{SOUND}.1/series/{SOUND}.2/instances/{uid}/rendered"


@pytest.fixture
def bad_series(keeper: Any, tmp_path: Path) -> dict[str, str]:
    """A series of one sound instance and one for each bad case; names to UIDs."""
    uids = {name: f"{ROOT}{number}" for number, name in enumerate(BAD, 1001)}
    file = tmp_path / "part10"
    file.write_bytes(ds.part10(ds.ct(SOUND), SOUND))
    keeper.keep_file(file)
    for name, uid in uids.items():
        data_set = of_one_series(CASES[name].make(uid), uid)
        file.write_bytes(ds.part10(data_set, uid, CASES[name].syntax))
        keeper.keep_file(file)
    return uids


def test_the_others_of_the_series_are_drawn_all_the_while(
    bad_series: dict[str, str], start_web: Callable[..., Any]
) -> None:
    port = start_web().port

    def ask(uid: str) -> tuple[int, bytes, float]:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", path_of(uid), headers={"Accept": "image/png, */*;q=0.1"})
            answer = connection.getresponse()
            return answer.status, answer.read(), time.monotonic() - began
        finally:
            connection.close()

    status, picture, _ = ask(SOUND)
    assert status == PICTURE
    with ThreadPoolExecutor(4) as others:
        asked = {name: others.submit(ask, uid) for name, uid in bad_series.items()}
        while not all(future.done() for future in asked.values()):
            assert ask(SOUND)[:2] == (PICTURE, picture)
    for name, future in asked.items():
        status, body, taken = future.result()
        assert status in CASES[name].shown, name
        assert taken < SECONDS, name
        if status == PLACEHOLDER:
            assert len(json.loads(body)["error"]["message"]) > 20, name
    assert ask(SOUND)[:2] == (PICTURE, picture)
