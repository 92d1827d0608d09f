"""No patient data where it does not belong: logs, addresses, file names, process titles, errors."""

import os
from pathlib import Path

import pytest

CANARY = "CANARYFAMILY"
IDENTITY = {
    "PatientName": f"{CANARY}^GIVEN",
    "PatientID": f"ID{CANARY}",
    "AccessionNumber": f"AC{CANARY}"[:16],
    "PatientBirthDate": "19530309",
    "StudyDescription": f"STUDY {CANARY}",
    "ReferringPhysicianName": f"DR^{CANARY}",
}


def leaks(text: str) -> list[str]:
    return [line for line in text.splitlines() if CANARY in line or "19530309" in line]


@pytest.mark.peer
def test_a_patient_leaves_no_trace_outside_the_data(
    make_node, make_series, storescu, wait, tmp_path
):
    node = make_node("pacs.host=127.0.0.1", "pacs.port=9", "inbox.incomplete_wait_s=1").start(
        "receive", "web", "sync-worker"
    )
    paths = make_series(3, **IDENTITY)
    assert storescu(node.dicom_port, paths).returncode == 0
    # bad ones too: a cut instance through the inbox, and one with a path for a UID
    content = paths[0].read_bytes()
    (node.data / "inbox" / "cut.dcm").write_bytes(content[:-300])
    wait(lambda: list((node.data / "quarantine").glob("*.json")))
    wait(lambda: node.get_json("/healthz")["instances"] == 3)
    study = node.get_json("/dicom-web/studies")[0]["0020000D"]["Value"][0]

    answers = [
        node.get(path)[1].decode("utf-8", "replace")
        for path in (
            "/healthz",
            "/api/v1/nothing-here",
            "/dicom-web/studies/1.2.3/metadata",
            f"/dicom-web/studies/{study}/series/1.2/instances/1.3/frames/99/rendered",
            f"/dicom-web/studies/{study}/series/1.2/rendered?window=nan",
        )
    ]
    titles = [
        Path(f"/proc/{process.pid}/cmdline").read_text() for process in node.processes.values()
    ]
    node.stop()
    names = [
        os.path.join(folder, name)
        for folder, folders, files in os.walk(node.data)
        for name in [*folders, *files]
    ]
    notes = [path.read_text() for path in (node.data / "quarantine").glob("*.json")]
    for text in (node.log.read_text(), *answers, *titles, "\n".join(names), *notes):
        assert leaks(text) == []
