"""The whole story with Orthanc as the PACS: down, images arrive, up, all returned and proven."""

from pathlib import Path

import pytest


@pytest.mark.peer
def test_every_instance_of_an_outage_is_returned_once_and_proven(
    make_node, make_orthanc, make_series, free_ports, storescu, wait
):
    pacs_ports = free_ports(2)
    node = make_node(
        "pacs.host=127.0.0.1",
        f"pacs.port={pacs_ports[0]}",
        "pacs.ae_title=ORTHANC",
        "mode.outage_after_s=1",
    )
    orthanc = make_orthanc(node.dicom_port, pacs_ports)
    node.start("receive", "sync-worker", "web")
    paths = [path for n in range(4) for path in make_series(50, folder=f"series{n}")]

    assert storescu(node.dicom_port, paths).returncode == 0
    wait(lambda: node.get_json("/healthz")["instances"] == 200)
    wait(lambda: node.get_json("/api/v1/sync")["destinations"][0]["is_reachable"] is False)
    wait(lambda: node.get_json("/api/v1/sync")["destinations"][0]["counts"]["queued"] == 200)
    assert node.run("sync status").returncode == 1
    wait(lambda: node.get_json("/healthz")["mode"] == "outage")
    assert b"PACS outage since" in node.get("/")[1]

    orthanc.start()
    wait(
        lambda: node.get_json("/api/v1/sync")["destinations"][0]["counts"]["proven"] == 200,
        timeout_s=90,
        what="200 proven",
    )

    assert orthanc.number_of_instances() == 200
    assert orthanc.stores_received() == 200
    studies = node.get_json("/api/v1/sync")["studies"]
    assert [study["proofs"] for study in studies] == [["commitment"]] * 4
    status = node.run("sync status")
    assert status.returncode == 0, status.stdout
    assert "50 of 50" in status.stdout
    assert Path(node.data / "ledger.sqlite").exists()
    wait(lambda: node.get_json("/healthz")["mode"] == "normal")
    modes = [change["mode"] for change in node.get_json("/api/v1/sync")["mode_changes"]]
    assert modes == ["normal", "recovering", "outage", "suspect"]
