"""kill -9 of the receiving process, again and again, while a scanner sends."""

import hashlib
from pathlib import Path

import pydicom
import pytest

from dicom_node.stored_file import read_file_head

pytestmark = pytest.mark.peer


def dataset_digest(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha256(content[read_file_head(path).dataset_offset :]).hexdigest()


@pytest.mark.full_faults  # beside tests/faults/test_kill.py
def test_nothing_acknowledged_is_missing_after_kill_9(
    make_node, make_series, storescu_process, acknowledged, wait
):
    kill_after = 120
    node = make_node().start("receive")
    paths = make_series(300)
    sender, log = storescu_process(node.dicom_port, paths)
    wait(lambda: log.read_text().count("(Success)") >= kill_after, what="sending is under way")
    node.kill("receive")
    sender.wait(30)
    known = acknowledged(log.read_text())
    assert kill_after <= len(known) < 300

    node.start("receive", "web")
    wait(lambda: node.get_json("/healthz")["instances"] >= len(known), what="all is indexed")
    stored = {dataset_digest(path) for path in (node.data / "instances").rglob("*.dcm")}
    lost = [path for path in known if dataset_digest(path) not in stored]
    assert lost == []
    assert list((node.data / "incoming").iterdir()) == [] or wait(
        lambda: not list((node.data / "incoming").iterdir())
    )
    study = pydicom.dcmread(paths[0]).StudyInstanceUID
    indexed = wait(lambda: node.get_json(f"/dicom-web/studies/{study}/instances?limit=1000"))
    uids = {item["00080018"]["Value"][0] for item in indexed}
    assert {str(pydicom.dcmread(path).SOPInstanceUID) for path in known} <= uids
    # none is half written: every file that is visible is whole
    for path in (node.data / "instances").rglob("*.dcm"):
        assert read_file_head(path).digest == dataset_digest(path)


def test_the_sender_repeats_and_nothing_is_doubled(make_node, make_series, storescu, wait):
    node = make_node().start("receive")
    paths = make_series(30)
    assert storescu(node.dicom_port, paths[:20]).returncode == 0
    node.kill("receive")
    node.start("receive", "web")
    assert storescu(node.dicom_port, paths).returncode == 0
    wait(lambda: node.get_json("/healthz")["instances"] == 30)
    assert len(list((node.data / "instances").rglob("*.dcm"))) == 30
