"""Node and PACS are killed in the middle of a drain: the rest is returned, nothing twice."""

import pytest

from dicom_node.ledger import LedgerReader


@pytest.mark.peer
def test_a_drain_that_is_killed_at_both_ends_is_finished_without_a_hand(
    make_node, make_orthanc, make_series, free_ports, storescu, wait
):
    pacs_ports = free_ports(2)
    node = make_node(
        "pacs.host=127.0.0.1",
        f"pacs.port={pacs_ports[0]}",
        "pacs.ae_title=ORTHANC",
        "pacs.max_images_per_s=40",
        "sync.batch_size=20",
        "pacs.commitment_wait_s=5",  # a PACS that is killed forgets what it was asked
    )
    orthanc = make_orthanc(node.dicom_port, pacs_ports)
    node.start("receive", "sync-worker")
    paths = [path for n in range(8) for path in make_series(20, folder=f"series{n}")]
    assert storescu(node.dicom_port, paths).returncode == 0

    orthanc.start()
    wait(lambda: orthanc.number_of_instances() >= 20, what="the drain has begun")
    node.kill("sync-worker")
    node.start("sync-worker")
    wait(lambda: orthanc.number_of_instances() >= 60, 60, what="it goes on")
    orthanc.process.kill()
    orthanc.process.wait()
    node.kill("sync-worker")
    node.kill("receive")
    orthanc.start()
    assert orthanc.number_of_instances() < 160
    node.start("receive", "sync-worker")

    ledger = LedgerReader(node.data / "ledger.sqlite")
    wait(lambda: ledger.destinations()[0].counts["proven"] == 160, 120, what="all proven")
    ledger.close()
    assert node.run("sync status").returncode == 0
    assert orthanc.number_of_instances() == 160
    counts = [len(orthanc.get(f"/studies/{one}/instances")) for one in orthanc.get("/studies")]
    assert counts == [20] * 8
    report = node.run("sync report")
    assert "8 studies: 160 received = 160 proven + 0 waiting + 0 in need" in report.stdout
    assert report.returncode == 0
