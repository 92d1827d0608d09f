import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEGBaseline8Bit, generate_uid
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
)

from sample_data.errors import PortUnavailable
from sample_data.holdings import read_received
from sample_data.pacs import PracticePacs
from sample_data.scanner import send_files


@pytest.fixture
def send(pacs: PracticePacs) -> Callable[..., list[str]]:
    def deliver(*paths: Path) -> list[str]:
        outcomes = send_files(paths, host=pacs.host, port=pacs.port)
        assert all(outcome.status == 0 for outcome in outcomes), outcomes
        return [outcome.sop_instance_uid for outcome in outcomes]

    return deliver


@pytest.fixture
def ask(pacs: PracticePacs) -> Callable[..., tuple[int, list[Dataset]]]:
    def find(level: str, **keys: object) -> tuple[int, list[Dataset]]:
        identifier = Dataset()
        identifier.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        association = AE(ae_title="ASKER").associate(
            pacs.host,
            pacs.port,
            contexts=[build_context(StudyRootQueryRetrieveInformationModelFind)],
        )
        assert association.is_established
        answers = list(
            association.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind)
        )
        association.release()
        return answers[-1][0].Status, [found for _, found in answers if found is not None]

    return find


class Requestor:
    """Asks for commitment and listens for the answer on a port of its own."""

    def __init__(self) -> None:
        self.events: list[tuple[int, Dataset]] = []
        self.answered = 0
        self.refusals = 0
        self.entity = AE(ae_title="ASKER")
        self.entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.hear)]
        self.server = self.entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.address = ("127.0.0.1", self.server.server_address[1])

    def hear(self, event: evt.Event) -> tuple[int, None]:
        if self.refusals:
            self.refusals -= 1
            return 0x0110, None
        self.events.append((event.event_type, event.event_information))
        return 0x0000, None

    def count_answer(self, event: evt.Event) -> None:
        self.answered += type(event.message).__name__ == "N_EVENT_REPORT_RSP"

    def request(self, pacs: PracticePacs, *references: tuple[str, str], **changes: object) -> int:
        association = self.open(pacs)
        status, _ = association.send_n_action(
            commitment_request(references),
            changes.get("action_type", 1),
            StorageCommitmentPushModel,
            changes.get("instance", StorageCommitmentPushModelInstance),
        )
        association.release()
        return int(status.Status)

    def open(self, pacs: PracticePacs):
        association = self.entity.associate(
            pacs.host,
            pacs.port,
            contexts=[build_context(StorageCommitmentPushModel)],
            evt_handlers=[
                (evt.EVT_N_EVENT_REPORT, self.hear),
                (evt.EVT_DIMSE_SENT, self.count_answer),
            ],
        )
        assert association.is_established
        return association


def commitment_request(references: tuple[tuple[str, str], ...]) -> Dataset:
    information = Dataset()
    information.TransactionUID = "1.2.3.999"
    information.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        information.ReferencedSOPSequence.append(item)
    return information


@pytest.fixture
def requestor() -> Iterator[Requestor]:
    running = Requestor()
    yield running
    running.server.shutdown()


@pytest.fixture
def committing(tmp_path: Path, requestor: Requestor) -> Iterator[PracticePacs]:
    addresses = {"ASKER": requestor.address}
    with PracticePacs(
        tmp_path / "committing", port=0, return_addresses=addresses, retry_pauses_s=(0.1, 0.1)
    ) as running:
        yield running


SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def references_of(item: Dataset, keyword: str) -> list[str]:
    return [str(entry.ReferencedSOPInstanceUID) for entry in item.get(keyword) or []]


@pytest.mark.peer
def test_dcmtk_can_verify_store_and_find(pacs, make_file, dcmtk):
    files = [make_file(StudyDescription="Both hands", InstanceNumber=number) for number in (1, 2)]
    here = ("127.0.0.1", str(pacs.port))
    assert dcmtk("echoscu", *here).returncode == 0
    assert dcmtk("storescu", *here, *map(str, files)).returncode == 0
    found = dcmtk(
        "findscu",
        "-v",
        "-S",
        *("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=phantom*", "-k", "StudyInstanceUID"),
        *("-k", "StudyDate=20260101-20260131", "-k", "NumberOfStudyRelatedInstances"),
        *here,
    )
    output = found.stdout + found.stderr
    assert found.returncode == 0
    assert "1.2.3.1" in output
    assert "(0020,1208) IS [2 ]" in output
    assert len(pacs.held) == 2


def test_find_matches_names_dates_lists_and_numbers(send, make_file, ask):
    send(
        make_file(InstanceNumber=1),
        make_file(InstanceNumber=2, SeriesInstanceUID="1.2.3.1.2", Modality="CT"),
        make_file(
            StudyInstanceUID="1.2.3.2",
            SeriesInstanceUID="1.2.3.2.1",
            PatientName="Müller^Änne",
            SpecificCharacterSet="ISO_IR 100",
            StudyDate="20251231",
        ),
    )

    def studies(**keys: object) -> list[str]:
        status, found = ask("STUDY", StudyInstanceUID="", **keys)
        assert status == 0
        return sorted(str(item.StudyInstanceUID) for item in found)

    assert studies() == ["1.2.3.1", "1.2.3.2"]
    assert studies(PatientName="PHANTOM*") == ["1.2.3.1"]
    assert studies(PatientName="phantom^tes?") == ["1.2.3.1"]
    assert studies(PatientName="PHANTOM") == []
    assert studies(PatientID="*TEST") == ["1.2.3.1", "1.2.3.2"]
    assert studies(StudyDate="20260101-") == ["1.2.3.1"]
    assert studies(StudyDate="-20260101") == ["1.2.3.2"]
    assert studies(StudyDate="20251231-20260102") == ["1.2.3.1", "1.2.3.2"]
    assert studies(StudyDate="20260102") == ["1.2.3.1"]
    assert studies(ModalitiesInStudy="CT") == ["1.2.3.1"]
    assert studies(AccessionNumber="A1") == []
    status, found = ask("STUDY", StudyInstanceUID=["1.2.3.2", "1.2.3.7"], PatientName="")
    assert (status, [str(item.PatientName) for item in found]) == (0, ["Müller^Änne"])


def test_find_counts_and_walks_down_to_instances(send, make_file, ask, pacs):
    first, second, third = send(
        make_file(InstanceNumber=1),
        make_file(InstanceNumber=2),
        make_file(InstanceNumber=3, SeriesInstanceUID="1.2.3.1.2"),
    )
    counts = {
        "NumberOfStudyRelatedSeries": None,
        "NumberOfStudyRelatedInstances": None,
        "ModalitiesInStudy": None,
        "InstanceAvailability": None,
    }
    _, (study,) = ask("STUDY", StudyInstanceUID="1.2.3.1", **counts)
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (2, 3)
    assert (study.ModalitiesInStudy, study.InstanceAvailability) == ("OT", "ONLINE")
    assert study.RetrieveAETitle == pacs.ae_title
    _, series = ask(
        "SERIES",
        StudyInstanceUID="1.2.3.1",
        SeriesInstanceUID="",
        NumberOfSeriesRelatedInstances=None,
    )
    assert sorted(item.NumberOfSeriesRelatedInstances for item in series) == [1, 2]
    above = {"StudyInstanceUID": "1.2.3.1", "SeriesInstanceUID": "1.2.3.1.1"}
    _, listed = ask("IMAGE", **above, SOPInstanceUID=[second, third])
    assert [str(item.SOPInstanceUID) for item in listed] == [second]
    _, numbered = ask("IMAGE", **above, SOPInstanceUID="", InstanceNumber=1)
    assert [str(item.SOPInstanceUID) for item in numbered] == [first]


def test_find_refuses_what_the_standard_forbids(send, make_file, ask):
    send(make_file())
    assert ask("SERIES", SeriesInstanceUID="") == (0xA900, [])
    assert ask("IMAGE", StudyInstanceUID="1.2.3.1", SOPInstanceUID="") == (0xA900, [])
    assert ask("SERIES", StudyInstanceUID=["1.2.3.1", "1.2.3.2"]) == (0xA900, [])
    assert ask("PATIENT", PatientID="") == (0xA900, [])


def test_every_arrival_is_counted_and_a_repeat_keeps_one_copy(send, make_file, pacs, tmp_path):
    path = make_file()
    (uid,) = send(path)
    send(path)
    assert pacs.received[uid] == 2
    assert list(pacs.held) == [uid]
    log = tmp_path / "pacs" / "received.log"
    assert read_received(log) == {uid: 2}
    assert json.loads(log.read_text().splitlines()[0])["sop_instance_uid"] == uid


def test_what_it_cannot_keep_is_refused_and_counted(make_file, pacs):
    without_study = make_file(StudyInstanceUID="")
    climbing = make_file(SeriesInstanceUID="../../x")
    lying = make_file()
    content = dcmread(lying)
    content.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    content.save_as(lying)
    outcomes = send_files([without_study, climbing, lying], host=pacs.host, port=pacs.port)
    assert [outcome.status for outcome in outcomes] == [0xC000, 0xC000, 0xA900]
    assert pacs.held == {}
    assert sum(pacs.received.values()) == 3


# pynetdicom drops the socket of a refused connection without closing it
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")
def test_switched_off_and_on_it_still_holds_everything(send, make_file, pacs, tmp_path):
    (uid,) = send(make_file())
    port = pacs.port
    pacs.stop()
    outcome = send_files([make_file()], host=pacs.host, port=port)
    assert outcome[0].status is None
    pacs.start()
    assert (pacs.port, list(pacs.held)) == (port, [uid])
    pacs.stop()
    with PracticePacs(tmp_path / "pacs", port=port) as again:
        assert (list(again.held), again.received) == ([uid], {uid: 1})


def test_senders_at_the_same_time_lose_nothing(make_file, pacs):
    batches = [[make_file() for _ in range(5)] for _ in range(4)]
    outcomes: list[int | None] = []

    def send_batch(batch: list[Path]) -> None:
        sent = send_files(batch, host=pacs.host, port=pacs.port)
        outcomes.extend(outcome.status for outcome in sent)

    threads = [threading.Thread(target=send_batch, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [0] * 20
    assert len(pacs.held) == sum(pacs.received.values()) == 20


def test_it_prefers_explicit_to_implicit_and_takes_private_classes(pacs):
    proposed = [
        build_context("1.2.3.4.5.6", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]),
        build_context(SECONDARY_CAPTURE, [JPEGBaseline8Bit]),
        build_context(ModalityWorklistInformationFind),
    ]
    association = AE().associate(pacs.host, pacs.port, contexts=proposed)
    accepted = {cx.abstract_syntax: cx.transfer_syntax[0] for cx in association.accepted_contexts}
    association.release()
    assert accepted == {
        "1.2.3.4.5.6": "1.2.840.10008.1.2.1",
        SECONDARY_CAPTURE: JPEGBaseline8Bit,
    }


def test_commitment_comes_on_an_association_of_its_own(
    committing, requestor, make_file, wait_until
):
    (sent,) = send_files([make_file()], host=committing.host, port=committing.port)
    assert requestor.request(committing, (SECONDARY_CAPTURE, sent.sop_instance_uid)) == 0
    wait_until(lambda: bool(requestor.events))
    event_type, event = requestor.events[0]
    assert event_type == 1
    assert event.TransactionUID == "1.2.3.999"
    assert references_of(event, "ReferencedSOPSequence") == [sent.sop_instance_uid]
    assert "FailedSOPSequence" not in event


def test_commitment_names_what_is_not_held(committing, requestor, make_file, wait_until):
    files = [make_file(), make_file()]
    held, other = send_files(files, host=committing.host, port=committing.port)
    ghost = generate_uid()
    status = requestor.request(
        committing,
        (SECONDARY_CAPTURE, held.sop_instance_uid),
        (SECONDARY_CAPTURE, ghost),
        ("1.2.840.10008.5.1.4.1.1.2", other.sop_instance_uid),
    )
    assert status == 0
    wait_until(lambda: bool(requestor.events))
    event_type, event = requestor.events[0]
    assert event_type == 2
    assert references_of(event, "ReferencedSOPSequence") == [held.sop_instance_uid]
    assert references_of(event, "FailedSOPSequence") == [ghost, other.sop_instance_uid]
    assert [item.FailureReason for item in event.FailedSOPSequence] == [0x0112, 0x0119]


def test_commitment_is_delivered_again_until_it_is_heard(committing, requestor, wait_until):
    requestor.refusals = 2
    assert requestor.request(committing, (SECONDARY_CAPTURE, generate_uid())) == 0
    wait_until(lambda: bool(requestor.events))
    assert requestor.refusals == 0


def test_commitment_for_a_stranger_comes_on_the_association_of_the_request(
    pacs, requestor, wait_until
):
    association = requestor.open(pacs)
    status, _ = association.send_n_action(
        commitment_request(((SECONDARY_CAPTURE, "1.2.3.4"),)),
        1,
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
    )
    assert status.Status == 0
    wait_until(lambda: requestor.answered == 1)
    association.release()
    assert requestor.events[0][0] == 2


def test_malformed_commitment_requests_are_answered_with_a_reason(committing, requestor):
    one = (SECONDARY_CAPTURE, "1.2.3.4")
    assert requestor.request(committing, one, action_type=2) == 0x0123
    assert requestor.request(committing, one, instance="1.2.3") == 0x0112
    assert requestor.request(committing) == 0x0115
    assert requestor.events == []


def test_without_commitment_the_context_is_not_offered(tmp_path):
    with PracticePacs(tmp_path / "plain", port=0, commitment=False) as plain:
        association = AE().associate(
            plain.host, plain.port, contexts=[build_context(StorageCommitmentPushModel)]
        )
        assert not association.is_established
        assert [cx.abstract_syntax for cx in association.rejected_contexts] == [
            StorageCommitmentPushModel
        ]


def test_a_port_in_use_gives_one_clear_error(pacs, tmp_path):
    second = PracticePacs(tmp_path / "second", port=pacs.port)
    with pytest.raises(PortUnavailable, match=f"port {pacs.port} on 127.0.0.1 is already in use"):
        second.start()
    command = [sys.executable, "-m", "sample_data.pacs", "--folder", str(tmp_path / "third")]
    run = subprocess.run(
        [*command, "--port", str(pacs.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == f"Error: port {pacs.port} on 127.0.0.1 is already in use\n"


def test_the_command_line_says_where_it_listens_and_ends_on_sigterm(make_file, tmp_path):
    folder = tmp_path / "process"
    command = [sys.executable, "-m", "sample_data.pacs", "--port", "0", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            port = int(line.rsplit(":", 1)[1])
            (sent,) = send_files([make_file()], host="127.0.0.1", port=port)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert line.startswith("practice PACS PRACTICE-PACS listening on 127.0.0.1:")
    assert read_received(folder / "received.log") == {sent.sop_instance_uid: 1}
