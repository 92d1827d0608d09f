"""Stored values on their way to a browser: packed without loss, reduced where that is asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from isal import isal_zlib
from pydicom.dataset import Dataset, FileDataset

Make = Callable[..., FileDataset]
Address = Callable[[Dataset], str]
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def large(keeper: Any, make_instance: Make) -> FileDataset:
    """A noisy frame of 130 rows and 131 columns, whose blocks of 3 do not come out even."""
    stored = np.random.default_rng(5).integers(0, 4000, (130, 131), np.uint16)
    made = make_instance(
        Rows=130,
        Columns=131,
        PixelRepresentation=0,
        BitsStored=12,
        HighBit=11,
        PixelData=stored.tobytes(),
    )
    keeper.keep(made)
    return made


def pixels(client: FlaskClient, path: str, query: str, **headers: str) -> Any:
    return client.get(f"/api/v1{path}/frames/1/pixels?{query}", headers=headers)


def undone(packed: bytes, columns: int) -> Any:
    """Undo differences slowly, as the format is told."""
    body = isal_zlib.decompress(packed, wbits=31)
    half = len(body) // 2
    values: list[int] = []
    for at in range(half):
        folded = body[at] + 256 * body[at + half]
        difference = folded // 2 if folded % 2 == 0 else -(folded + 1) // 2
        row, column = divmod(at, columns)
        before = values[at - 1] if column else values[at - columns] if row else 0
        values.append((before + difference) % 65536)
    return np.array(values, np.uint16)


def test_differences_are_every_value_in_fewer_bytes(
    client: FlaskClient, large: FileDataset, address: Address
) -> None:
    path = address(large)
    answer = pixels(client, path, "packing=differences", **GZIP)
    assert answer.headers["X-Packing"] == "differences"
    assert answer.headers["X-Frame"] == f"{large.SOPInstanceUID}#1"
    assert np.array_equal(undone(answer.data, 131), large.pixel_array.ravel())
    assert len(answer.data) < len(pixels(client, path, "", **GZIP).data)


def test_who_does_not_ask_or_takes_no_gzip_gets_plain_values(
    client: FlaskClient, large: FileDataset, address: Address
) -> None:
    for query, headers in (("", GZIP), ("packing=differences", {"Accept-Encoding": ""})):
        answer = pixels(client, address(large), query, **headers)
        assert "X-Packing" not in answer.headers
    assert answer.data == large.PixelData


def test_reduced_values_say_so_and_are_means_of_blocks(
    client: FlaskClient, large: FileDataset, address: Address
) -> None:
    answer = pixels(client, address(large), "reduce=3", **{"Accept-Encoding": ""})
    assert answer.headers["X-Reduced"] == "3"
    found = np.frombuffer(answer.data, "<u2").reshape(44, 44)
    stored = large.pixel_array.astype(float)
    assert found[0, 0] == int(stored[:3, :3].mean() + 0.5)
    assert found[43, 43] == int(stored[129:, 129:].mean() + 0.5)
    whole = pixels(client, address(large), "", **{"Accept-Encoding": ""})
    assert "X-Reduced" not in whole.headers
    assert whole.headers["ETag"] != answer.headers["ETag"]


def test_background_is_in_no_mean_and_no_value_of_the_rest_is_dropped(
    client: FlaskClient, keeper: Any, make_instance: Make, address: Address
) -> None:
    stored = np.full((64, 64), -2000, np.int16)
    stored[0, 1] = 3000  # one speck in a block of background
    stored[32:] = np.arange(32 * 64, dtype=np.int16).reshape(32, 64)
    padded = make_instance(PixelPaddingValue=-2000, PixelData=stored.tobytes())
    padded["PixelPaddingValue"].VR = "SS"
    keeper.keep(padded)
    answer = pixels(client, address(padded), "reduce=4", **{"Accept-Encoding": ""})
    found = np.frombuffer(answer.data, "<i2").reshape(16, 16)
    assert (found[0, 0], found[0, 1]) == (3000, -2000)
    assert found[8, 0] == int(stored[32:36, :4].mean() + 0.5)


@pytest.mark.parametrize(
    "query",
    [
        "reduce=0",
        "reduce=65",
        "reduce=00000001234",
        "reduce=00000001" + 5000 * "0",
        "reduce=x",
        "reduce=",
        "packing=zip",
    ],
)
def test_what_makes_no_sense_is_refused(
    client: FlaskClient, held: FileDataset, address: Address, query: str
) -> None:
    assert pixels(client, address(held), query).status_code == 400


def test_a_client_that_has_an_answer_is_told_so(
    client: FlaskClient, large: FileDataset, address: Address
) -> None:
    for query in ("", "packing=differences", "reduce=3&packing=differences"):
        first = pixels(client, address(large), query, **GZIP)
        again = pixels(
            client, address(large), query, **GZIP, **{"If-None-Match": first.headers["ETag"]}
        )
        assert again.status_code == 304, query
