"""Bad input at the level of messages: an answer or an abort, and others are served as before."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.faults import wire
from tests.faults.abuse_datasets import MARK, PATIENT_NAME, ct, element, item, new_uid
from tests.faults.abuse_target import Target, running_target

OUT_OF_RESOURCES, NOT_OF_SOP_CLASS, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000
PROCESSING_FAILURE, INVALID_OBJECT_INSTANCE = 0x0110, 0x0117
MR = "1.2.840.10008.5.1.4.1.1.4"
FIND, MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"
WORKLIST = "1.2.840.10008.5.1.4.31"
COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
ANSWER_S = 0.2
CAP_BYTES = 80_000_000
CANCELS = 10_000 if os.environ.get("LIFEBOAT_FAULTS") == "full" else 2_000
SETTINGS = ("dicom.idle_timeout_s=60", f"dicom.maximum_object_bytes={CAP_BYTES}")


@pytest.fixture(scope="module")
def target(tmp_path_factory, free_ports) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("dimse")
    with running_target(folder, free_ports(2), settings=SETTINGS) as target:
        yield target


@pytest.fixture(autouse=True)
def _nothing_else_suffers(target) -> Iterator[None]:
    with target.association() as bystander:
        yield
        assert bystander.is_answered()
        assert bystander.release()
    target.check()


def without(elements: dict[int, bytes], *names: int) -> dict[int, bytes]:
    return {name: value for name, value in elements.items() if name not in names}


def command(elements: dict[int, bytes]) -> bytes:
    return wire.p_data(3, wire.IS_COMMAND | wire.IS_LAST, wire.command_set(elements))


def echo_command(**changes: int) -> dict[int, bytes]:
    facts = {"command": wire.C_ECHO_RQ, "sop_class_uid": wire.VERIFICATION} | changes
    return wire.request(**facts)


def echo_with(elements: dict[int, bytes]) -> bytes:
    return wire.p_data(1, wire.IS_COMMAND | wire.IS_LAST, wire.command_set(elements))


STORE = wire.store_request("1.2.3")
ABORTED = {
    "row26-garbage": wire.p_data(3, 3, b"garbage in the place of a command"),
    "row26-empty": wire.p_data(3, 3, b""),
    "row26-random": wire.p_data(3, 3, bytes(range(255, 0, -1))),
    "row26-lying-length": wire.p_data(3, 3, wire.element(wire.COMMAND, b"\1\0")[:-1]),
    "row27-unknown-command": echo_with(echo_command(command=0x7777)),
    "row28-store-without-message-id": command(without(STORE, wire.MESSAGE_ID)),
    "row28-echo-without-message-id": echo_with(without(echo_command(), wire.MESSAGE_ID)),
    "row28-echo-without-command-field": echo_with(without(echo_command(), wire.COMMAND)),
    "row28-store-without-data-set-type": command(without(STORE, wire.DATA_SET_TYPE)),
    "row29-data-before-command": wire.p_data(3, wire.IS_LAST, ct("1.2.3")),
    "row38-second-store-before-the-last-fragment": command(STORE)
    + wire.p_data(3, wire.DATA, b"half")
    + command(STORE),
    "row38-second-store-on-another-context": command(STORE) + wire.ECHO,
}


@pytest.mark.parametrize("name", ABORTED)
def test_a_malformed_message_ends_its_association(target, name):
    lines = len(target.events())
    with target.association() as peer:
        answers = peer.send(ABORTED[name]).read_to_end()
    assert [answer.kind for answer in answers] in ([wire.ABORT], []), answers
    assert "association_cut" in {line["event"] for line in target.events(lines)}


def test_row27_an_answer_to_nothing_is_ignored(target):
    answer = without(echo_command(command=0x8030), wire.MESSAGE_ID)
    with target.association() as peer:
        peer.send(echo_with(answer | {wire.RESPONDED_ID: wire.number(1), wire.STATUS: b"\0\0"}))
        assert peer.is_answered()


def test_row28_a_store_without_sop_instance_uid_is_never_met_with_silence(target):
    uid = new_uid()
    with target.association() as peer:
        answer = peer.store(without(wire.store_request(uid), wire.SOP_INSTANCE), ct(uid))
    assert answer.is_end or answer.status == INVALID_OBJECT_INSTANCE
    assert target.stored(uid) == []


def test_row30_data_that_was_not_announced_ends_the_association(target):
    with target.association() as peer:
        assert peer.is_answered()
        answers = peer.send(wire.ECHO, wire.p_data(1, wire.IS_LAST, b"data")).read_to_end()
    assert answers[-1:] == [wire.Answer(wire.ABORT, answers[-1].body)]


def test_row31_a_store_without_a_data_set_is_not_understood(target):
    with target.association() as peer:
        nothing = STORE | {wire.DATA_SET_TYPE: wire.number(wire.NO_DATA_SET)}
        assert peer.store(nothing, None).status == CANNOT_UNDERSTAND
        assert peer.store(STORE, b"").status == CANNOT_UNDERSTAND
        assert peer.is_answered()


def test_row32_fragments_without_end_are_cut_at_the_cap(target):
    before = target.peak_bytes(forget=True)
    fragment = wire.p_data(3, wire.DATA, bytes(100_000))
    with target.association() as peer:
        peer.send(command(STORE), *[fragment] * (CAP_BYTES // 100_000 + 1))
        answers = peer.read_to_end()
    assert answers[0].status == OUT_OF_RESOURCES
    assert [answer.kind for answer in answers[1:]] in ([wire.ABORT], [])
    assert target.peak_bytes() - before < 150e6


def test_row32_a_command_without_end_is_cut(target):
    with target.association() as peer:
        peer.send(*[wire.p_data(3, wire.IS_COMMAND, bytes(16_000))] * 20)
        assert all(answer.kind == wire.ABORT for answer in peer.read_to_end())


UNSAFE_UIDS = {
    "row33-up-and-out": b"../../../etc/passwd",
    "row33-up": b"..",
    "row34-absolute": b"/etc/cron.d/x",
    "row34-drive": b"C:\\x",
    "row34-folder": b"sub/1.2.3",
    "row34-device": b"CON",
    "row35-65-characters": b"1." + b"2" * 63,
    "row35-300-characters": b"1." + b"2" * 298,
    "row35-nul": b"1.2\x003.4",
    "row35-non-ascii": "1.2.³".encode(),
    "row35-latin-1": b"1.2.\xb3",
    "row35-two-values": b"1.2.3\\1.2.4",
    "row35-newline": b"1.2.3\n",
    "row36-empty": b"",
}


@pytest.mark.parametrize("name", UNSAFE_UIDS)
def test_an_unsafe_uid_is_refused_and_its_bytes_are_kept(target, name):
    unsafe = UNSAFE_UIDS[name]
    data_set = ct(new_uid(), element(0x00080018, "UI", unsafe))
    assert target.store(data_set, unsafe) == NOT_OF_SOP_CLASS
    assert target.quarantined(data_set)


@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E], ids=["row33-study", "row33-series"])
def test_an_unsafe_uid_of_study_or_series_is_refused(target, tag):
    uid = new_uid()
    data_set = ct(uid, element(tag, "UI", "../../../tmp/x"))
    assert target.store(data_set, uid) == NOT_OF_SOP_CLASS
    assert target.quarantined(data_set)
    assert target.stored(uid) == []


MISMATCHES = {
    "row37-data-set": (wire.CT, MR),
    "row37-command": (MR, wire.CT),
    "row37-both": (MR, MR),
}


@pytest.mark.parametrize("name", MISMATCHES)
def test_a_sop_class_that_differs_is_refused(target, name):
    """The context is always one of CT."""
    in_command, in_data_set = MISMATCHES[name]
    uid = new_uid()
    data_set = ct(uid, element(0x00080016, "UI", in_data_set))
    with target.association() as peer:
        answer = peer.store(wire.store_request(uid, in_command), data_set)
    assert answer.status == NOT_OF_SOP_CLASS
    assert target.quarantined(data_set)
    assert target.stored(uid) == []


def test_row37_a_sop_instance_that_differs_is_refused(target):
    uid = new_uid()
    assert target.store(ct(uid), new_uid()) == NOT_OF_SOP_CLASS
    assert target.stored(uid) == []


def test_row39_a_storm_of_cancels_is_ignored(target):
    cancel = echo_with(
        {
            wire.COMMAND: wire.number(wire.C_CANCEL_RQ),
            wire.RESPONDED_ID: wire.number(1),
            wire.DATA_SET_TYPE: wire.number(wire.NO_DATA_SET),
        }
    )
    with target.association() as peer:
        began = time.monotonic()
        peer.send(cancel * CANCELS)
        assert peer.is_answered()
        print(f"{CANCELS} C-CANCEL requests ignored in {time.monotonic() - began:.1f} s")
        assert peer.release()


KEYS = {
    "row40-quote": f"{MARK}' OR 1=1--",
    "row40-percent": "%",
    "row40-underscore": "_",
    "row40-stars": "*" * 64,
    "row40-10-kB": MARK * 1250,
    "row40-dates-reversed": "20261231-20260101",
}


@pytest.mark.parametrize("sop_class_uid", [FIND, WORKLIST], ids=["study-root", "worklist"])
@pytest.mark.parametrize("name", KEYS)
def test_a_query_is_not_served(target, name, sop_class_uid):
    """This node answers no queries: it accepts no context for them, and aborts one all the same."""
    identifier = element(PATIENT_NAME, "PN", KEYS[name])
    find = wire.request(wire.C_FIND_RQ, sop_class_uid, data_set_type=wire.HAS_DATA_SET)
    with target.peer() as peer:
        answer = peer.associate(wire.ECHO_CONTEXT, (5, sop_class_uid, [wire.EXPLICIT]))
        assert answer.results[5] != 0
        began = time.monotonic()
        peer.send(*wire.message(5, find, identifier))
        assert all(answer.kind == wire.ABORT for answer in peer.read_to_end())
    assert time.monotonic() - began < ANSWER_S


@pytest.mark.parametrize("destination", [b"NOBODY", b"LIFEBOAT"], ids=["row41-unknown", "row41-us"])
def test_a_move_is_not_served(target, destination):
    """This node moves nothing: it accepts no context for that, and aborts what asks for it."""
    move = wire.request(wire.C_MOVE_RQ, MOVE, data_set_type=wire.HAS_DATA_SET)
    with target.peer() as peer:
        answer = peer.associate(wire.ECHO_CONTEXT, (5, MOVE, [wire.EXPLICIT]))
        assert answer.results[5] != 0
        peer.send(*wire.message(5, move | {0x0600: wire.uid(destination)}, b""))
        assert all(answer.kind == wire.ABORT for answer in peer.read_to_end())


def commitment_request(references: int) -> bytes:
    reference = item(
        element(0x00081150, "UI", wire.CT) + element(0x00081155, "UI", "1.2.3.4.5.6.7.8.9")
    )
    return element(0x00081195, "UI", "1.2.3.99") + element(0x00081199, "SQ", reference * references)


ACTIONS = {
    "row42-unknown-uids": [commitment_request(1)],
    "row42-100000-references": [commitment_request(100_000)],
    "row42-repeated-transaction": [commitment_request(1)] * 2,
}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_request_for_commitment_is_not_served(target, name):
    """This node commits nothing: it confirms no such role, and says no to each request."""
    action = wire.request(wire.N_ACTION_RQ, COMMITMENT, data_set_type=wire.HAS_DATA_SET)
    del action[wire.SOP_CLASS]
    requested = {0x0003: wire.uid(COMMITMENT), 0x1001: wire.uid(COMMITMENT_INSTANCE)}
    request = action | requested | {0x1008: wire.number(1)}
    with target.peer() as peer:
        answer = peer.associate(wire.ECHO_CONTEXT, (5, COMMITMENT, [wire.EXPLICIT]))
        assert 0x54 not in answer.user_items
        for information in ACTIONS[name]:
            answer = peer.send(*wire.message(5, request, information)).read()
            assert answer.status == PROCESSING_FAILURE


def test_row43_no_asynchronous_operations_are_negotiated(target):
    window = wire.item(0x53, b"\xff\xff\xff\xff")
    with target.peer() as peer:
        answer = peer.associate(user_items=window)
        assert answer.user_items.get(0x53, b"\0\1\0\1") == b"\0\1\0\1"
        assert peer.is_answered()
