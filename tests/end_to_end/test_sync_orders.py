"""An order given at a terminal is obeyed by the running delivery within seconds."""

import os

import pytest

from dicom_node.ledger import LedgerReader

OBEYED_S = 15.0


@pytest.mark.peer
def test_a_pause_ordered_at_a_terminal_stops_the_running_delivery(
    make_node, make_orthanc, make_series, free_ports, storescu, wait
):
    pacs_ports = free_ports(2)
    node = make_node(
        "pacs.host=127.0.0.1",
        f"pacs.port={pacs_ports[0]}",
        "pacs.ae_title=ORTHANC",
        "pacs.max_images_per_s=3",
    )
    orthanc = make_orthanc(node.dicom_port, pacs_ports).start()
    assert storescu(node.start("receive").dicom_port, make_series(100)).returncode == 0
    node.start("sync-worker")
    wait(lambda: orthanc.number_of_instances() > 2, 90, "it is being sent")
    assert os.getpriority(os.PRIO_PROCESS, node.processes["sync-worker"].pid) > 0  # behind scanners

    assert node.run("sync pause", "--reason", "they migrate").returncode == 0
    ledger = LedgerReader(node.data / "ledger.sqlite")
    wait(lambda: ledger.destinations()[0].counts["sending"] == 0, OBEYED_S, "nothing is sent")
    held = orthanc.number_of_instances()
    assert held < 100
    assert "Paused since" in node.run("sync status").stdout
    assert orthanc.number_of_instances() == held

    assert node.run("sync start", "--reason", "done").returncode == 0
    wait(lambda: orthanc.number_of_instances() > held, 90, "it goes on")
    ordered = {"pause_ordered", "start_ordered"}
    wait(lambda: ordered <= {event.kind for event in ledger.events()}, 30, "both are on record")
    ledger.close()
