from dataclasses import replace

import pytest

from dicom_node.refusals import Refusal, Refusals
from dicom_node.setting_tables import ModalitySettings, TlsSettings
from dicom_node.unknown_switch import UnknownSwitch
from web.app import create_app
from web.door import refusal_row


@pytest.fixture
def client_with(settings, clock):
    def make(**changes):
        return create_app(replace(settings, **changes), clock=clock).test_client()

    return make


def rows(client) -> dict[str, dict[str, str]]:
    return {row["key"]: row for row in client.get("/api/v1/sync").json["door"]}


def test_it_says_who_may_send(client_with, settings, clock) -> None:
    assert rows(client_with())["callers"]["words"] == "No modality is listed, so everyone may send."
    client = client_with(modalities=(ModalitySettings("ct1", "CT1"),))
    assert rows(client)["callers"]["words"] == "1 listed. Whoever is not is refused."
    UnknownSwitch(settings.node.data, clock).open(3600, by="anna", reason="CT in a <van>")
    row = rows(client)["callers"]
    assert row["state"] == "attention"
    assert row["words"].endswith("by anna: CT in a <van>")
    assert "CT in a &lt;van&gt;" in client.get("/sync").text


def test_a_certificate_in_trouble_is_told(client_with, tmp_path) -> None:
    assert "tls" not in rows(client_with())
    row = rows(client_with(tls=TlsSettings(str(tmp_path / "absent.pem"))))["tls"]
    assert row["state"] == "attention"
    assert "there is no TLS port" in row["words"]


def test_who_was_turned_away_is_listed_in_words(client, settings, clock) -> None:
    refusals = Refusals(settings.node.data, clock)
    refusals.add("CT<9>", "10.0.0.9", "unknown-caller")
    refusals.add("", "10.0.0.8", "silent")
    refusals.flush()
    found = client.get("/api/v1/sync").json["refusals"]
    assert [(row["caller"], row["why"]) for row in found] == [
        ("Not known", "Connected and said nothing"),
        ("CT<9>", "Not on the list of modalities"),
    ]
    page = client.get("/sync").text
    assert "CT&lt;9&gt;" in page
    assert "10.0.0.8" in page


def test_a_missing_right_is_named() -> None:
    row = refusal_row(Refusal("WS", "10.0.0.1", "no-right-to-store", 1, "", ""))
    assert row["why"] == "It has no right to store"
