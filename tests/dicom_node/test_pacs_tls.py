"""TLS to real PACSs: DCMTK with and without a client's certificate, and none where TLS fails."""

import subprocess
import threading

import pytest

from dicom_node.errors import BadSettings, PeerUnreachable
from dicom_node.pacs import Pacs
from dicom_node.pacs_probe import probe_pacs
from dicom_node.setting_tables import PacsSettings
from dicom_node.settings import load_settings
from dicom_node.verdict import Condition
from tests.dicom_node.sending import data_set, make_peer, make_shipment, outcomes

__all__ = ["make_peer", "make_shipment"]

pytestmark = pytest.mark.peer


@pytest.fixture
def start_storescp(tmp_path, require, free_ports, wait):
    running = []

    def start(certificate, *options: str):
        folder = tmp_path / f"scp{len(running)}"
        folder.mkdir()
        (port,) = free_ports(1)
        command = [require("storescp"), "-aet", "PACS", "-od", str(folder), "-pm", "+xa"]
        if certificate is not None:
            command += ["+tls", certificate.private_key, certificate.certificate]
        running.append(
            subprocess.Popen(
                [*command, *options, str(port)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        wait(lambda: probe_pacs(settings(port), "LIFEBOAT").layer > 2, what="storescp listens")
        return port, folder

    yield start
    for process in running:
        process.kill()
        process.wait()


def settings(port: int, **changes) -> PacsSettings:
    values = {"answer_timeout_s": 5.0, "connect_timeout_s": 3.0, "associations": 2} | changes
    return PacsSettings(host="127.0.0.1", port=port, **values)


def test_instances_go_encrypted_and_whole(start_storescp, make_certificate, make_shipment):
    theirs = make_certificate()
    port, folder = start_storescp(theirs, "-ic")
    shipments = [make_shipment(size) for size in (0, 100_000, 3_000_000) * 10]
    pacs = Pacs(settings(port, tls_ca=theirs.certificate), "LIFEBOAT")
    assert pacs.probe().is_healthy
    assert outcomes(pacs.send(shipments)) == ["stored"] * 30
    for item in shipments:
        (stored,) = folder.glob(f"*{item.sop_instance_uid}")
        assert stored.read_bytes().endswith(data_set(item))


def test_we_show_our_certificate_where_it_is_asked_for(
    start_storescp, make_certificate, make_shipment
):
    theirs, ours = make_certificate(), make_certificate()
    port, _ = start_storescp(theirs, "-rc", "+cf", ours.certificate)
    known = settings(
        port,
        tls_ca=theirs.certificate,
        tls_certificate=ours.certificate,
        tls_private_key=ours.private_key,
    )
    assert outcomes(Pacs(known, "LIFEBOAT").send([make_shipment()])) == ["stored"]
    nameless = probe_pacs(settings(port, tls_ca=theirs.certificate), "LIFEBOAT")
    assert nameless.condition is Condition.REFUSING
    assert "may not accept our certificate" in nameless.words


def test_a_certificate_nobody_vouches_for_gets_no_image(
    start_storescp, make_certificate, make_shipment
):
    theirs, other = make_certificate(), make_certificate()
    port, folder = start_storescp(theirs, "-ic")
    strange = settings(port, tls_ca=other.certificate)
    verdict = probe_pacs(strange, "LIFEBOAT")
    assert verdict.condition is Condition.REFUSING
    assert verdict.words == "its certificate comes from none of the CAs in pacs.tls_ca"
    with pytest.raises(PeerUnreachable):
        list(Pacs(strange, "LIFEBOAT").send([make_shipment()]))
    assert not list(folder.iterdir())


def test_another_name_on_the_certificate_is_refused_where_one_is_set(
    start_storescp, make_certificate
):
    theirs = make_certificate()
    port, _ = start_storescp(theirs, "-ic")
    right, wrong = (
        probe_pacs(settings(port, tls_ca=theirs.certificate, tls_name=name), "LIFEBOAT")
        for name in ("lifeboat-test", "elsewhere")
    )
    assert wrong.words == "its certificate bears another name than pacs.tls_name"
    assert right.is_healthy


def test_a_pacs_without_tls_is_never_spoken_to_in_the_clear(
    start_storescp, make_certificate, make_shipment
):
    port, folder = start_storescp(None)
    wanted = settings(
        port, tls_ca=make_certificate().certificate, connect_timeout_s=1.0, probe_timeout_s=1.0
    )
    verdict = probe_pacs(wanted, "LIFEBOAT")
    assert not verdict.has_answered_echo
    with pytest.raises(PeerUnreachable):
        list(Pacs(wanted, "LIFEBOAT").send([make_shipment()]))
    assert not list(folder.iterdir())


def test_a_peer_that_freezes_under_tls_is_an_unknown_outcome(
    make_certificate, make_shipment, make_peer
):
    theirs = make_certificate()
    is_over = threading.Event()
    peer = make_peer(lambda talk: (talk.accept(), is_over.wait(20)), tls=theirs)
    pacs = Pacs(settings(peer.port, tls_ca=theirs.certificate, answer_timeout_s=1.0), "LIFEBOAT")
    assert outcomes(pacs.send([make_shipment(40_000_000)])) == ["unknown"]
    is_over.set()


def test_files_that_cannot_be_used_are_said_before_anything_is_tried(make_certificate):
    broken = settings(1, tls_ca="/nowhere/ca.pem")
    with pytest.raises(BadSettings, match="tls_"):
        Pacs(broken, "LIFEBOAT").held_instances("1.2", "1.3")
    with pytest.raises(BadSettings, match="tls_ca is missing"):
        load_settings(environment={}, overrides=["pacs.host=h", "pacs.tls_certificate=x.pem"])


def test_a_query_and_a_commitment_go_encrypted_too(start_storescp, make_certificate, make_shipment):
    theirs = make_certificate()
    port, _ = start_storescp(theirs, "-ic")
    pacs = Pacs(settings(port, tls_ca=theirs.certificate), "LIFEBOAT")
    # this one only stores: it says so over TLS, and that is an answer
    assert pacs.held_instances("1.2", "1.3") is None
    assert not pacs.request_commitment("1.2.3", [("1.2", "1.3")]).is_supported
