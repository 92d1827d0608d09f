"""Delivery where something goes wrong: who is blamed, who waits, and that nobody else does."""

import socket
import threading

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from dicom_node.courier import Courier
from dicom_node.errors import ConversationLost, PeerRefused, PeerUnreachable
from dicom_node.ledger import State
from dicom_node.pacs import Pacs
from dicom_node.shipment import Outcome, Receipt
from dicom_node.sync_order import OrderKind
from tests.dicom_node.desk import fill


class Choking(Pacs):
    """Breaks the association at one instance, as archives with a bug do."""

    chokes_on = ""

    def send_in_groups(self, shipments):
        for item in shipments:
            if item.sop_instance_uid == self.chokes_on:
                raise ConversationLost("the connection broke")
            yield from super().send_in_groups([item])


def test_one_instance_the_pacs_chokes_on_does_not_hold_up_the_others(
    room, make_pacs, make_desk, make_instance
):
    uids = fill(room, make_instance, count=4)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.pacs = Choking(desk.settings.pacs[0], "LIFEBOAT")
    desk.pacs.chokes_on = uids[0]
    desk.destination._courier = desk.destination._forms._courier = desk.pacs
    for _ in range(20):
        desk.step(9000)
    assert desk.counts() == {"attention": 1, "proven": 3}


def test_what_was_in_hand_when_the_conversation_broke_is_blamed_and_nothing_else(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance, count=4)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)

    def break_at_the_third(shipments):
        raise ConversationLost("the sending process ended", [shipments[2].delivery_id])
        yield

    desk.pacs.send_in_groups = break_at_the_third
    desk.step()
    (study,) = desk.reader.studies()
    found = desk.reader.deliveries(study.study_instance_uid)
    assert [bool(i.first_failed_at) for i in sorted(found, key=lambda i: i.delivery_id)] == [
        False,
        False,
        True,
        False,
    ]
    assert desk.counts() == {"queued": 4}


def test_a_pause_before_anything_was_sent_is_no_failure_of_the_pacs(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance)
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)

    def pause_at_once(shipments):
        desk.sync_orders.give(OrderKind.PAUSE, by="A. Smith", reason="the PACS is being upgraded")
        desk.keeper.step()
        yield []  # refused as it is: another form is to be tried
        yield [Receipt(item.delivery_id, Outcome.NOT_SENT) for item in shipments]

    desk.pacs.send_in_groups = pause_at_once
    desk.step()
    assert desk.sync_orders.is_paused("pacs")
    assert desk.counts() == {"queued": 3}
    assert not desk.events("delivery_paused")


class Speechless(Pacs):
    """Fails at one kind of question about one study, as archives with a bug do."""

    fails_at = ""
    fails = ""

    def fail(self, kind, study_instance_uid):
        if study_instance_uid == self.fails_at and kind == self.fails:
            raise PeerRefused("it answered C110 to the query")

    def held_instances(self, study_instance_uid, series_instance_uid):
        has_sent = self.fails_at in self.sent
        self.fail("proving" if has_sent else "sending", study_instance_uid)
        return super().held_instances(study_instance_uid, series_instance_uid)

    def find_study(self, study_instance_uid):
        self.fail("verifying", study_instance_uid)
        return super().find_study(study_instance_uid)

    def send_in_groups(self, shipments):
        shipments = list(shipments)
        self.sent |= {item.path.parts[-3] for item in shipments}
        return super().send_in_groups(shipments)


@pytest.mark.parametrize("fails", ["sending", "proving", "verifying"])
def test_one_study_the_pacs_cannot_be_asked_about_holds_up_no_other(
    room, make_pacs, make_desk, make_instance, wait, fails
):
    studies = ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    for number, study in enumerate(studies):  # the last comes first, in whatever is asked
        uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"1.2.4.{9 - number}"}
        for instance in (1, 2):
            room.accept(make_instance(instance, **uids))
    room.settle()
    silent = studies.pop()
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port, "sync.batch_size=1")
    desk.pacs = Speechless(desk.settings.pacs[0], "LIFEBOAT")
    desk.pacs.sent, desk.pacs.fails_at, desk.pacs.fails = set(), silent, fails
    destination = desk.destination
    destination._courier = destination._forms._courier = desk.pacs
    destination._prover._courier = destination._verifier._courier = desk.pacs

    def states(*of) -> set[tuple[str, str]]:
        items = [item for uid in of for item in desk.reader.deliveries(uid)]
        return {(item.state, item.identity_state) for item in items}

    wait(lambda: desk.step(60) or states(*studies) == {("proven", "same")})
    left = desk.reader.deliveries(silent)
    expected = {"sending": "queued", "proving": "stored", "verifying": "proven"}[fails]
    assert expected in {item.state for item in left}
    assert "same" not in {item.identity_state for item in left}

    desk.pacs.fails_at = ""
    wait(lambda: desk.step(300) or states(silent) == {("proven", "same")})


def test_what_the_pacs_accepts_in_no_way_comes_to_a_person_and_holds_up_nobody(
    room, make_desk, make_instance
):
    """A peer that takes associations and echoes, but offers no storage at all."""
    fill(room, make_instance, count=2)
    entity = AE(ae_title="PRACTICE-PACS")
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        desk = make_desk(server.server_address[1])
        for _ in range(16):
            desk.step(9000)
        assert desk.counts() == {"attention": 2}
    finally:
        server.shutdown()


def test_a_damaged_file_is_never_sent(room, make_pacs, make_desk, make_instance):
    fill(room, make_instance, count=2)
    damaged = room.data / next(room.store.walk())
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert desk.counts() == {"queued": 1, "proven": 1}
    assert len(pacs.received) == 1
    assert "damaged" in str(desk.reader.deliveries(desk.reader.studies()[0].study_instance_uid))


def test_an_instance_taken_but_never_listed_is_not_sent_for_ever(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance, count=1)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.pacs.held_instances = lambda *uids: set()
    for _ in range(18):
        desk.step(9000)
    assert desk.counts() == {"attention": 1}
    assert sum(pacs.received.values()) <= 6


def test_a_wait_set_before_the_clock_was_put_back_is_over(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance, count=1)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)
    desk.adopter.step()
    desk.ledger.update([1], expected=State.QUEUED, next_attempt_at="2027-01-01T00:00:00.000+00:00")
    desk.step()
    assert desk.counts() == {"proven": 1}


def test_what_a_person_holds_in_the_meantime_is_not_sent(room, make_pacs, make_desk, make_instance):
    (uid,) = fill(room, make_instance, count=1)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)

    def ask_and_hold(*uids: str) -> set[str]:
        desk.ledger.hold([uid], "a person decides")
        return set()

    desk.pacs.held_instances = ask_and_hold
    desk.step()
    assert desk.counts() == {"held": 1}
    assert not pacs.received


@pytest.fixture
def silent_peer():
    """A port that accepts connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in held:
        connection.close()


def test_a_frozen_pacs_costs_one_child_and_nothing_is_lost(silent_peer, make_desk, room):
    settings = make_desk(silent_peer).settings.pacs[0]
    courier = Courier(settings, "LIFEBOAT")
    with pytest.raises(PeerUnreachable):
        courier.held_instances("1.2", "1.3")
    courier.stop()
    assert courier._process is None


def test_the_courier_talks_to_a_real_pacs(make_pacs, make_desk, room, make_instance):
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    courier = Courier(desk.settings.pacs[0], "LIFEBOAT")
    courier.probe()
    assert courier.held_instances("1.2", "1.3") == set()
    courier.stop()


def test_a_query_that_is_cut_off_is_asked_again_before_anything_is_sent(
    room, make_pacs, make_desk, make_instance, wait
):
    fill(room, make_instance, count=1)
    pacs = make_pacs(commitment=False)
    answer, cuts = pacs._find, [1]

    def cut_once(event):
        if cuts:
            cuts.pop()
            event.assoc.abort()
        yield from answer(event)

    pacs._find = cut_once
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert not pacs.received
    wait(lambda: desk.step(30) or desk.counts() == {"proven": 1})
    assert set(pacs.received.values()) == {1}


def test_a_pacs_that_cuts_off_every_query_gets_its_images_all_the_same(
    room, make_pacs, make_desk, make_instance, wait
):
    fill(room, make_instance, count=2)
    pacs = make_pacs(commitment=True)

    def cut(event):
        event.assoc.abort()
        yield 0xFF00, None

    pacs._find = cut
    pacs.start()
    desk = make_desk(pacs.port)
    wait(lambda: desk.step(30) or len(pacs.received) == 2)
    assert set(pacs.received.values()) == {1}


def test_an_association_that_is_rejected_is_no_instances_fault(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance, count=2)
    pacs = make_pacs(commitment=False)
    pacs.start()
    desk = make_desk(pacs.port)

    def reject(shipments):
        raise PeerRefused("it rejected the association for now")

    desk.pacs.send_in_groups, send = reject, desk.pacs.send_in_groups
    for _ in range(10):
        desk.step(9000)
    (study,) = desk.reader.studies()
    items = desk.reader.deliveries(study.study_instance_uid)
    assert {(item.state, item.attempts, item.first_failed_at) for item in items} == {
        ("queued", 0, "")
    }
    desk.pacs.send_in_groups = send
    desk.step(9000)
    assert desk.counts() == {"proven": 2}
