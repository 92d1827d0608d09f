"""Every scanner of a house at once."""

import subprocess

import pytest

from tests.conftest import require_program
from tests.faults.instances import as_file, make_instances
from tests.faults.ledger import audit

SENDERS = 100
PATIENT = ("-ta", "100", "-td", "100")
"""How long storescu waits for an answer, seconds: a hundred processes start at once here."""

pytestmark = pytest.mark.peer


def test_a_hundred_scanners_at_once_are_all_served(make_faulty_node, tmp_path, figure):
    node = make_faulty_node().start("receive")
    instances = make_instances(SENDERS)
    senders = []
    for number, instance in enumerate(instances):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(as_file(instance))
        command = [require_program("storescu"), *PATIENT, "-aec", "LIFEBOAT", "127.0.0.1"]
        senders.append(
            subprocess.Popen(
                [*command, str(node.dicom_port), str(path)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    stored = sum(sender.wait(120) == 0 for sender in senders)
    figure(f"P14 {SENDERS} storescu at once", f"{stored} stored", SENDERS)
    assert stored == SENDERS
    sent = {item.sop_instance_uid: item.digest for item in instances}
    assert audit(node.data, sent).lost == []
