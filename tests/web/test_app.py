import json
import logging
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dicom_node.errors import BadCorrection, CorrectionRefused, NodeError
from viewer.errors import ViewerError
from web.app import STATUS_OF_KIND, status_of
from web.errors import WebError


def kinds(base: type[Exception]) -> Iterator[type[Exception]]:
    yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [*kinds(WebError), *kinds(ViewerError)])
def test_every_kind_of_error_has_a_line_in_the_table(kind: type[Exception]) -> None:
    assert kind in STATUS_OF_KIND


@pytest.mark.parametrize(
    "kind",
    [one for one in kinds(NodeError) if not issubclass(one, (BadCorrection, CorrectionRefused))],
)
def test_an_error_of_the_node_is_a_fault_of_ours(kind: type[Exception]) -> None:
    assert status_of(kind()) == HTTPStatus.INTERNAL_SERVER_ERROR


def test_what_a_person_asked_for_in_vain_is_no_fault() -> None:
    assert status_of(BadCorrection()) == HTTPStatus.BAD_REQUEST
    assert status_of(CorrectionRefused()) == HTTPStatus.CONFLICT


def test_a_fault_shows_a_number_and_nothing_else(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/api/v1/broken")
    def broken() -> str:
        raise RuntimeError("PHANTOM^SECRET at /srv/secret")

    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get("/api/v1/broken")
    assert answer.status_code == 500
    assert b"SECRET" not in answer.data
    assert b"/srv" not in answer.data
    error = answer.json["error"]
    assert error["code"] == "internal-error"
    assert error["id"] == caplog.records[0].error_id


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v1/studies/1.2.3", "application/json"),
        ("/dicom-web/studies/1.2.3", "application/json"),
        ("/studies/1.2.3", "text/html"),
        ("/nowhere", "text/html"),
    ],
)
def test_programs_are_told_in_json_and_people_on_a_page(
    client: FlaskClient, path: str, kind: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.mimetype == kind
    words = answer.json["error"]["message"] if kind.endswith("json") else answer.text
    assert "This node" in words or "nothing at this address" in words


def test_an_empty_data_folder_is_an_empty_node(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/sync").status_code == 200
    assert client.get("/dicom-web/studies").status_code == 204
    assert client.get("/readyz").status_code == 503
    health = client.get("/healthz")
    assert health.status_code == 200
    assert health.json["instances"] == 0


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient) -> None:
    body = json.dumps({"text": "x" * 2_000_000})
    answer = client.post("/api/v1/studies/search", data=body, content_type="application/json")
    assert answer.status_code == 413
    assert answer.json["error"]["code"] == "request-entity-too-large"
