import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydicom.dataset import Dataset, FileDataset

from dicom_node.settings import Settings
from web.app import create_app
from web.security import HEADERS, host_name

WEB = Path(__file__).resolve().parents[2] / "web"
PATHS = ("/", "/sync", "/healthz", "/nowhere", "/api/v1/sync", "/static/css/lifeboat.css")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    answer = client.get(path, buffered=True)
    # a page with forms names its origin to this node, which a browser sends along with them
    own = {"Referrer-Policy": "same-origin"} if path == "/sync" else {}
    assert (HEADERS | own).items() <= dict(answer.headers).items()
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "public" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/", "/sync", "/api/v1/sync", "/dicom-web/studies", "/healthz"])
def test_lists_are_never_kept(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost:9", "LOCALHOST", "[::1]:8080", "[::1]"]
)
def test_our_own_names_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "a@127.0.0.1", "[::1", "x:y"],
)
@pytest.mark.parametrize("path", ["/", "/healthz", "/static/js/board.js", "/dicom-web/studies"])
def test_another_name_is_refused(client: FlaskClient, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert answer.json["error"]["code"] == "foreign-host"


def test_the_configured_host_is_ours(settings: Settings) -> None:
    app = create_app(replace(settings, web=replace(settings.web, host="127.0.0.7")))
    assert app.test_client().get("/healthz", headers={"Host": "127.0.0.7:1"}).status_code == 200


def test_a_host_is_read_without_its_port() -> None:
    assert host_name("LocalHost:80") == "localhost"
    assert host_name("") == ""


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/dicom-web/studies/1.2", "/api/v1/studies/search", "/no"])
def test_nothing_can_be_changed_or_deleted(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST"


def test_no_route_takes_another_method(app: Flask) -> None:
    methods = {method for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    assert methods - {"OPTIONS"} == {"GET", "HEAD", "POST"}  # OPTIONS is refused for all of them


def test_a_preflight_is_refused(client: FlaskClient) -> None:
    answer = client.options(
        "/api/v1/studies/search",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_cannot_post(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/studies/search", json={}, headers=headers)
    assert answer.status_code == 403
    assert answer.json["error"]["code"] == "foreign-origin"


def test_our_own_page_can_post(client: FlaskClient) -> None:
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/studies/search", json={}, headers=headers).status_code == 200


SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "';alert(1)//",
    "<svg/onload=alert(1)>",
)


@pytest.mark.parametrize("text", SCRIPTS)
def test_text_of_a_patient_stays_text(
    client: FlaskClient,
    keeper,
    make_instance: Callable[..., FileDataset],
    address: Callable[[Dataset], str],
    text: str,
) -> None:
    keywords = ("PatientName", "PatientID", "StudyDescription", "SeriesDescription")
    dataset = make_instance(**dict.fromkeys(keywords, text), AccessionNumber=text[:16])
    keeper.keep(dataset)
    for path in ("/", f"/studies/{dataset.StudyInstanceUID}"):
        page = client.get(path).text
        assert "<script>alert" not in page.lower()
        assert "<img src=x" not in page.lower()
        assert "<svg/onload" not in page.lower()
        assert "&gt;49&lt;" not in page
        assert ">49<" not in page
    info = client.get(f"/api/v1{address(dataset)}/frames/1/info")
    assert info.mimetype == "application/json"
    assert info.json["patient"]["patient_id"] == text


def test_no_script_writes_markup() -> None:
    for script in (WEB / "static/js").glob("*.js"):
        source = script.read_text()
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in source, script.name


def test_no_page_holds_script_or_style_of_its_own() -> None:
    named_by_policy = ("<style>{{ styles }}</style>", "<script>{{ begin }}</script>")
    for page in (WEB / "templates").glob("*.html"):
        source = page.read_text()
        if page.name == "viewer.html":
            for one in named_by_policy:
                assert source.count(one) == 1
                source = source.replace(one, "")
        assert "style=" not in source, page.name
        assert "<style" not in source, page.name
        assert " on" + "click=" not in source, page.name
        assert "|safe" not in source.replace(" ", ""), page.name
        harmless = ('<script type="module" src=', '<script type="application/json" id=')
        assert source.count("<script") == sum(map(source.count, harmless)), page.name


def test_a_policy_names_the_styles_and_the_script_of_its_page_and_no_others(
    client: FlaskClient, held: FileDataset
) -> None:
    answer = client.get(f"/studies/{held.StudyInstanceUID}")
    policy = answer.headers["Content-Security-Policy"]
    for name, element in (("style-src", "style"), ("script-src", "script")):
        [own] = re.findall(rf"<{element}>(.*?)</{element}>", answer.text, re.S)
        digest = b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{name} 'self' 'sha256-{digest}';" in policy
        assert len(own) > 100
    assert "sha256" not in client.get("/").headers["Content-Security-Policy"]


def test_nothing_is_fetched_from_elsewhere() -> None:
    for file in WEB.rglob("*"):
        if file.suffix in (".html", ".css", ".js"):
            source = file.read_text().replace("http://www.w3.org/", "")
            assert "http://" not in source, file.name
            assert "https://" not in source, file.name
