from collections.abc import Callable

from flask.testing import FlaskClient
from pydicom.dataset import FileDataset


def test_the_revision_moves_with_every_arrival(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset]
) -> None:
    revisions = []
    for _ in range(3):
        revisions.append(client.get("/api/v1/changes").json["revision"])
        keeper.keep(make_instance())
    assert len(set(revisions)) == 3


def test_nothing_new_costs_nothing(client: FlaskClient, held: FileDataset, clock) -> None:
    first = client.get("/api/v1/changes")
    clock.pass_seconds(60)
    again = client.get("/api/v1/changes", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


def test_the_ledger_moves_the_revision_too(client: FlaskClient, make_ledger, clock) -> None:
    ledger = make_ledger("central")
    before = client.get("/api/v1/changes").json["revision"]
    ledger.record_event("unreachable", "central", "no answer", clock().isoformat())
    assert client.get("/api/v1/changes").json["revision"] != before


def test_health_tells_counts_and_no_patient(client: FlaskClient, held: FileDataset) -> None:
    answer = client.get("/healthz")
    assert answer.json == {
        "status": "live",
        "node": "Lifeboat",
        "studies": 1,
        "series": 1,
        "instances": 1,
        "conflicts": 0,
        "damaged": 0,
        "degraded": False,
        "troubles": [],
        "mode": "normal",
        "mode_since": "",
    }
    assert client.get("/readyz").json == {"status": "ready"}
