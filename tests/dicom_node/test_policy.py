"""Who may call: the rules alone, then over the wire with DCMTK."""

import re
import subprocess

import pytest
from pynetdicom import AE, build_context

from dicom_node.association_request import AssociationRequest
from dicom_node.policy import Policy, Right
from dicom_node.server import DicomServer
from dicom_node.setting_tables import DicomSettings, ModalitySettings, PacsSettings
from dicom_node.settings import Settings
from dicom_node.unknown_switch import UnknownSwitch

CT_CLASS, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
VERIFICATION, COMMITMENT = "1.2.840.10008.1.1", "1.2.840.10008.1.20.1"
CT1 = ModalitySettings("ct1", "CT1", "10.1.2.0/24")
PACS = PacsSettings(host="10.0.0.5", ae_title="PACS")


def policy(*modalities: ModalitySettings, pacs=(), unknown: bool = False) -> Policy:
    return Policy(Settings(modalities=modalities, pacs=pacs), lambda: unknown)


def reason(rules: Policy, calling: bytes, address: str, called: bytes = b"LIFEBOAT") -> str:
    rejection = rules.rejection(AssociationRequest(calling, called), address)
    return rejection.reason if rejection else ""


def test_while_none_is_listed_everyone_may_bring_images_and_nobody_takes_any():
    caller = policy().caller("ANY", "203.0.113.9")
    assert {Right.ECHO, Right.STORE} <= caller.rights
    assert not caller.rights & {Right.FIND, Right.MOVE, Right.GET}


@pytest.mark.parametrize(
    ("calling", "address", "expected"),
    [
        (b"CT1", "10.1.2.200", ""),
        (b"CT1", "10.1.3.1", "unknown-caller"),
        (b"CT1", "::1", "unknown-caller"),
        (b"ct1", "10.1.2.200", "unknown-caller"),
        (b"CT2", "10.1.2.200", "unknown-caller"),
        (b"", "10.1.2.200", "bad-calling-ae-title"),
        (b"\xff" * 16, "10.1.2.200", "bad-calling-ae-title"),
    ],
)
def test_once_one_is_listed_the_list_rules(calling, address, expected):
    assert reason(policy(CT1), calling, address) == expected
    assert reason(policy(CT1), b"CT1", "10.1.2.3", called=b"OTHER") == "wrong-called-ae-title"
    other_version = AssociationRequest(b"CT1", b"LIFEBOAT", protocol_version=0)
    assert policy(CT1).rejection(other_version, "10.1.2.3").reason == "wrong-protocol-version"


def test_a_broken_title_is_refused_even_while_everyone_may_call():
    assert reason(policy(), b"\x01", "10.1.2.200") == "bad-calling-ae-title"


def test_any_address_and_several_entries_for_one_title():
    portable = ModalitySettings("any", "US1", "", ("echo",))
    there = ModalitySettings("there", "US1", "fd00::/8", ("find",))
    rules = policy(portable, there)
    assert rules.caller("US1", "10.9.9.9").rights == {Right.ECHO}
    assert rules.caller("US1", "fd00::7").rights == {Right.ECHO, Right.FIND}


def test_a_pacs_may_always_report_what_it_committed():
    rules = policy(CT1, pacs=(PACS,))
    assert Right.COMMITMENT in rules.caller("PACS", "10.0.0.5").rights
    assert rules.caller("PACS", "10.0.0.6") is None
    by_name = PacsSettings(host="pacs.hospital.example", ae_title="PACS")
    assert Right.COMMITMENT in policy(CT1, pacs=(by_name,)).caller("PACS", "10.0.0.6").rights


def test_our_own_port_may_be_asked_from_this_machine():
    assert policy(CT1).caller("LIFEBOAT", "127.0.0.1").rights == {Right.ECHO}
    assert policy(CT1).caller("LIFEBOAT", "10.0.0.9") is None


def test_the_switch_lets_unknown_ones_in_but_gives_nothing_out():
    caller = policy(CT1, unknown=True).caller("VAN", "10.9.9.9")
    assert caller.is_unknown
    assert caller.rights == {Right.ECHO, Right.STORE}
    assert not policy(CT1, unknown=True).caller("CT1", "10.1.2.3").is_unknown


@pytest.fixture
def serve(room):
    """Start the DICOM port with given modalities; returns port and what was refused."""
    servers = []

    def start(*modalities: ModalitySettings, pacs=()):
        refused: list[tuple[str, str, str]] = []
        dicom = DicomSettings(port=0)
        settings = Settings(dicom=dicom, modalities=modalities, pacs=pacs)
        server = DicomServer(
            dicom,
            room.ingest,
            lambda reports: None,
            policy=Policy(settings, UnknownSwitch(room.data).is_open),
            count_refusal=lambda *refusal: refused.append(refusal),
        )
        servers.append(server)
        return server.start(), refused

    yield start
    for server in servers:
        server.stop()


def echo(port: int, calling: str, called: str = "LIFEBOAT") -> tuple[int, str]:
    command = ["echoscu", "-to", "10", "-aet", calling, "-aec", called, "127.0.0.1", str(port)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return result.returncode, result.stdout + result.stderr


def local(name: str, ae_title: str, *rights: str) -> ModalitySettings:
    return ModalitySettings(name, ae_title, "127.0.0.0/8", rights or ("echo", "store"))


@pytest.mark.peer
def test_dcmtk_is_told_which_title_is_wrong(serve, require):
    require("echoscu")
    port, refused = serve(local("ct1", "CT1"))
    assert echo(port, "CT1")[0] == 0
    code, words = echo(port, "CT2")
    assert code != 0
    assert re.search(r"Rejected Permanent.*Service User", words)
    assert "Calling AE Title Not Recognized" in words
    assert "Called AE Title Not Recognized" in echo(port, "CT1", called="OTHER")[1]
    assert refused == [
        ("CT2", "127.0.0.1", "unknown-caller"),
        ("CT1", "127.0.0.1", "wrong-called-ae-title"),
    ]


def accepted(port: int, calling: str, *abstract_syntaxes: str) -> set[str]:
    contexts = [build_context(uid, EXPLICIT) for uid in abstract_syntaxes]
    association = AE(ae_title=calling).associate("127.0.0.1", port, contexts, ae_title="LIFEBOAT")
    found = {str(context.abstract_syntax) for context in association.accepted_contexts}
    if association.is_established:
        association.release()
    return found


def test_a_context_without_its_right_is_not_accepted(serve):
    port, refused = serve(local("ws", "WS", "echo"), local("ct", "CT", "store"))
    assert accepted(port, "WS", VERIFICATION, CT_CLASS) == {VERIFICATION}
    assert accepted(port, "CT", VERIFICATION, CT_CLASS, "1.2.3.4") == {CT_CLASS, "1.2.3.4"}
    assert refused == [
        ("WS", "127.0.0.1", "no-right-to-store"),
        ("CT", "127.0.0.1", "no-right-to-echo"),
    ]


def test_commitment_is_reported_by_a_pacs_and_by_nobody_else(serve):
    pacs = PacsSettings(host="127.0.0.1", ae_title="PACS")
    port, _ = serve(local("ct1", "CT1"), pacs=(pacs,))
    contexts = [build_context(COMMITMENT, EXPLICIT)]
    from pynetdicom import build_role

    for title, expected in (("PACS", 1), ("CT1", 0)):
        association = AE(ae_title=title).associate(
            "127.0.0.1",
            port,
            contexts,
            ae_title="LIFEBOAT",
            ext_neg=[build_role(COMMITMENT, scp_role=True)],
        )
        assert len(association.accepted_contexts) == expected
        if association.is_established:
            association.release()


@pytest.mark.peer
def test_the_switch_takes_effect_while_the_node_runs(
    make_node, make_series, storescu, require, wait
):
    require("storescu")
    node = make_node("modalities.ct1.ae_title=CT1").start("receive")
    paths = make_series(3)
    assert storescu(node.dicom_port, paths[:1], "-aet", "VAN").returncode != 0
    assert node.run("modalities accept-unknown", "--for", "10m", "--reason", "van").returncode == 0
    assert storescu(node.dicom_port, paths[1:2], "-aet", "VAN").returncode == 0
    assert "unknown_accepted" in node.log.read_text()
    listing = node.run("modalities list").stdout
    assert "CT1" in listing
    assert "van" in listing
    assert node.run("modalities accept-unknown", "--off").returncode == 0
    assert storescu(node.dicom_port, paths[2:], "-aet", "VAN").returncode != 0
    assert storescu(node.dicom_port, paths[2:], "-aet", "CT1").returncode == 0
    # the same title in status, with its count
    wait(lambda: "unknown-caller" in node.run("status", "--json").stdout)
    printed = node.run("status").stdout
    assert re.search(r"VAN at 127\.0\.0\.1: unknown-caller, 2 x", printed), printed


def test_commands_say_in_one_line_what_is_wrong(make_node):
    node = make_node()
    for arguments in (("--for", "99h"), ("--for", "soon"), ("--for", "1h")):
        result = node.run("modalities accept-unknown", *arguments)
        assert result.returncode == 2  # the last one: there is no data folder yet
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("lifeboat: ")
