"""The short way gives what the application gives, and refuses what it refuses."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset
from werkzeug.test import TestResponse

from web import quick

Address = Callable[[Dataset], str]
OCTETS = 'multipart/related; type="application/octet-stream"'


def told(answer: TestResponse) -> tuple[int, dict[str, str], bytes]:
    """What an answer says, but for the time and the boundary that was drawn for it."""
    headers = {name: value for name, value in answer.headers.items() if name != "Date"}
    drawn = re.search("boundary=([0-9a-f]{32})", answer.headers["Content-Type"])
    if drawn is None:
        return answer.status_code, headers, answer.data
    headers["Content-Type"] = headers["Content-Type"].replace(drawn[1], "")
    return answer.status_code, headers, answer.data.replace(drawn[1].encode(), b"")


def both_ways(
    client: FlaskClient, url: str, headers: dict[str, str]
) -> tuple[TestResponse, TestResponse]:
    """Ask as it stands, and with a parameter that nobody reads and the short way does not take."""
    aside = f"{url}{'&' if '?' in url else '?'}aside=~"
    return client.get(url, headers=headers), client.get(aside, headers=headers)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/dicom-web{}/rendered", {}),
        ("/dicom-web{}/rendered?window=100,500&quality=70", {"Accept": "image/png"}),
        ("/dicom-web{}/rendered?window=100%2C500,sigmoid&accept=image/png", {}),
        ("/dicom-web{}/rendered?window=1,2&window=100,500", {}),
        ("/dicom-web{}/frames/1/rendered?viewport=32,32", {"Accept": "image/*;q=0.5"}),
        ("/dicom-web{}/frames/1", {"Accept": OCTETS}),
        ("/dicom-web{}/frames/1", {"Accept": "*/*", "Host": "localhost:8080"}),
        ("/dicom-web{}/frames/01", {}),
        ("/api/v1{}/frames/1/pixels", {}),
        ("/api/v1{}/frames/1/pixels", {"Accept-Encoding": "br, gzip"}),
        ("/api/v1{}/frames/1/pixels", {"Accept-Encoding": "*;q=0.1, gzip;q=0"}),
    ],
)
def test_an_answer_is_the_same_in_the_short_way(
    client: FlaskClient,
    keeper,
    make_instance: Callable[..., FileDataset],
    address: Address,
    url: str,
    headers: dict[str, str],
) -> None:
    dataset = make_instance(Rows=128, Columns=128)
    dataset.PixelData = bytes(range(256)) * 128
    keeper.keep(dataset)
    short, whole = both_ways(client, url.format(address(dataset)), headers)

    assert short.status_code == 200
    assert told(short) == told(whole)
    assert ("Date" in short.headers, "Date" in whole.headers) == (False, True)


@pytest.mark.parametrize(
    ("url", "headers", "status"),
    [
        ("/dicom-web{}/rendered", {"Host": "example.org"}, 403),
        ("/dicom-web{}/rendered", {"Host": ""}, 403),
        ("/dicom-web{}/rendered?window=1,0", {}, 400),
        ("/dicom-web{}/rendered?v=0123456789abcdef", {}, 404),
        ("/dicom-web{}1/rendered", {}, 404),
        ("/dicom-web{}/frames/2/rendered", {}, 404),
        ("/dicom-web{}/frames/0/rendered", {}, 404),
        ("/dicom-web{}/rendered", {"Accept": "text/html"}, 406),
        ("/dicom-web{}/frames/1", {"Accept": "image/jpeg"}, 406),
        ("/dicom-web{}/frames/9", {}, 404),
        ("/dicom-web{}/frames/0", {}, 400),
        ("/api/v1{}/frames/2/pixels", {}, 404),
        ("/api/v1{}/frames/1/pixels", {"Host": "127.0.0.1.example.org:8080"}, 403),
    ],
)
def test_a_refusal_has_the_words_and_headers_of_the_application(
    client: FlaskClient,
    held: FileDataset,
    address: Address,
    url: str,
    headers: dict[str, str],
    status: int,
) -> None:
    short, whole = both_ways(client, url.format(address(held)), headers)

    assert short.status_code == status
    assert told(short) == told(whole)
    assert short.json["error"]["message"]


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "DELETE"])
def test_only_get_is_answered_in_the_short_way(
    client: FlaskClient, held: FileDataset, address: Address, method: str
) -> None:
    answer = client.open(f"/dicom-web{address(held)}/rendered", method=method)

    assert answer.status_code == (200 if method == "HEAD" else 405)
    assert method != "HEAD" or not answer.data


@pytest.mark.parametrize(
    ("url", "accept_encoding"),
    [
        ("/dicom-web{}/rendered", ""),
        ("/dicom-web{}/thumbnail", ""),
        ("/api/v1{}/frames/1/pixels", "gzip"),
        ("/api/v1{}/frames/1/pixels", ""),
    ],
)
def test_what_the_client_has_is_not_made_again(
    client: FlaskClient,
    keeper,
    held: FileDataset,
    address: Address,
    url: str,
    accept_encoding: str,
) -> None:
    url, headers = url.format(address(held)), {"Accept-Encoding": accept_encoding}
    first = client.get(url, headers=headers)
    assert first.status_code == 200
    for file in Path(keeper.data).rglob("*.dcm"):
        file.unlink()

    client.application.extensions["lifeboat"].bodies.clear()
    again = client.get(url, headers=headers | {"If-None-Match": first.headers["ETag"]})

    assert again.status_code == 304
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again.headers.get(name) == first.headers.get(name)
    assert client.get(url, headers=headers | {"If-None-Match": '"other"'}).status_code == 406


@given(st.lists(st.sampled_from(["%2C", "%2c", "%2F", "%2f", *"ab=&,/.0-"])).map("".join))
def test_a_plain_query_is_understood_as_any_other(text: str) -> None:
    assert quick._QUERY.fullmatch(text)
    assert quick.query_pairs(text) == parse_qsl(text, keep_blank_values=True)
