"""The delivering process is killed again and again while a study goes under new UIDs."""

import random

import pytest

from dicom_node.ledger import LedgerReader
from dicom_node.reissue import ReissueState, reissues_of

IMAGES = 40
KILLS = 12


@pytest.mark.peer
@pytest.mark.full_faults
def test_a_reissue_killed_at_any_step_doubles_nothing_and_is_finished(
    make_node, make_orthanc, make_series, free_ports, storescu, wait
):
    pacs_ports = free_ports(2)
    node = make_node(
        "pacs.host=127.0.0.1",
        f"pacs.port={pacs_ports[0]}",
        "pacs.ae_title=ORTHANC",
        "pacs.proof=c-find",
        "pacs.max_images_per_s=20",
        "sync.batch_size=5",
    )
    orthanc = make_orthanc(node.dicom_port, pacs_ports).start()
    node.start("receive", "sync-worker")
    assert storescu(node.dicom_port, make_series(IMAGES)).returncode == 0
    ledger = LedgerReader(node.data / "ledger.sqlite")
    wait(lambda: (ledger.destinations() or [None])[0], 60, what="a destination")
    wait(lambda: ledger.destinations()[0].counts["proven"] == IMAGES, 120, what="proven")
    study = ledger.studies()[0].study_instance_uid

    node.kill("sync-worker")
    words = f"sync reissue {study} --destination=pacs --why=worklist --correct=patient_id=PH-2"
    assert node.run(words, "--yes").returncode == 1  # on record: nothing delivers now
    pick = random.Random(20260102)
    for _ in range(KILLS):
        node.start("sync-worker")
        before = orthanc.stores_received()
        more = pick.randrange(1, 6)
        wait(
            lambda before=before, more=more: (
                orthanc.stores_received() >= before + more
                or any(one.state != ReissueState.SENDING for one in reissues_of(ledger))
            ),
            60,
            what="another step",
        )
        node.kill("sync-worker")
    node.start("sync-worker")
    wait(
        lambda: [one.state for one in reissues_of(ledger)] == [ReissueState.REJECTED],
        180,
        what="rejected",
    )
    there = {item.there.sop_instance_uid for item in ledger.deliveries(study)}
    ledger.close()
    assert orthanc.number_of_instances() == 2 * IMAGES + 1
    found = {one["MainDicomTags"]["SOPInstanceUID"] for one in orthanc.get("/instances?expand")}
    assert len(there) == IMAGES
    assert there < found
    patients = {
        one["MainDicomTags"]["StudyInstanceUID"]: one["PatientMainDicomTags"]["PatientID"]
        for one in orthanc.get("/studies?expand")
    }
    assert len(patients) == 2
    assert patients[study] != "PH-2"
    assert "PH-2" in patients.values()
    assert f"{IMAGES} received = {IMAGES} proven + 0 waiting" in node.run("sync report").stdout
