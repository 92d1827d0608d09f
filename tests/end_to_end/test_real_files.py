"""Real files of many makers, sent by DCMTK: kept byte for byte, found, and shown or explained."""

import contextlib
import json
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_files

from dicom_node.errors import NodeError
from dicom_node.header import read_header
from dicom_node.stored_file import read_file_head

pytestmark = pytest.mark.peer

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"


def sendable(paths: list[Path]) -> dict[str, Path]:
    """Return one readable file for each SOP Instance UID that its data set names."""
    found: dict[str, Path] = {}
    for path in sorted(paths):
        with contextlib.suppress(NodeError, OSError):
            uid = instance_uid(path)
            if uid:
                found.setdefault(uid, path)
    return found


def instance_uid(path: Path) -> str:
    head = read_file_head(path)
    content = memoryview(path.read_bytes())[head.dataset_offset :]
    return read_header(content, head.transfer_syntax_uid).text("sop_instance_uid")


def pydicom_files() -> list[Path]:
    return [Path(name) for name in get_testdata_files("*.dcm")]


def package_files() -> list[Path]:
    import importlib.util

    spec = importlib.util.find_spec("data_store")
    assert spec is not None, "pydicom-data is part of the test extra"
    return list(Path(spec.submodule_search_locations[0]).rglob("*.dcm"))


def corpus_files() -> list[Path]:
    return [path for path in CORPUS.rglob("*") if path.is_file()] if CORPUS.exists() else []


def some_corpus_files() -> list[Path]:
    """Return every fourth: all of them take minutes."""
    return sorted(corpus_files())[::4]


SOURCES = {
    "pydicom": pydicom_files,
    "pydicom-data": package_files,
    "corpus": some_corpus_files,
    "all": corpus_files,
}
RUNS = [
    *(("dcmsend", source) for source in ("pydicom", "pydicom-data", "corpus")),
    pytest.param("storescu", "pydicom", marks=pytest.mark.all_files),
    *(
        pytest.param(tool, "all", marks=(pytest.mark.all_files, pytest.mark.timeout(1800)))
        for tool in ("dcmsend", "storescu")
    ),
]


def dataset(path: Path) -> bytes:
    return path.read_bytes()[read_file_head(path).dataset_offset :]


def is_same_data_set(kept: Path, sent: Path, reference: Path | None) -> bool:
    """Compare with the file, or with what a receiver that writes bit by bit got from the sender.

    DCMTK's senders encode a data set anew, with other lengths of sequences for instance, so the
    bytes of the file and the bytes on the wire may differ.
    """
    if dataset(kept) == dataset(sent):
        return True
    if reference is not None and transfer_syntax(kept) == transfer_syntax(reference):
        return dataset(kept) == dataset(reference)
    # that receiver takes it in another transfer syntax or not at all: element by element
    return elements(kept) == elements(sent)


def elements(path: Path) -> dict[int, str]:
    """Return values as text; senders may write an empty value with or without padding."""
    ds = pydicom.dcmread(path)
    return {int(item.tag): str(item.value or "").strip() for item in ds if item.tag.element}


def transfer_syntax(path: Path) -> str:
    return read_file_head(path).transfer_syntax_uid


@pytest.mark.parametrize(("tool", "source"), RUNS)
def test_every_acknowledged_file_is_kept_found_and_shown_or_explained(
    make_node, dcmtk_send, bit_preserving_receiver, source, tool, wait
):
    by_uid = sendable(SOURCES[source]())
    if not by_uid:
        pytest.skip("the corpus of real files is not beside this repository")
    node = make_node().start("receive", "web")
    files = list(by_uid.values())
    stored = dcmtk_send(tool, node.dicom_port, files)
    dcmtk_send(tool, bit_preserving_receiver.port, files)
    references = bit_preserving_receiver.received()
    assert len(stored) > 0.8 * len(files), "most real files are acknowledged"

    wait(lambda: node.get_json("/healthz")["instances"] >= len(stored))
    found = {}
    for study in node.get_json("/dicom-web/studies?limit=10000"):
        uid = study["0020000D"]["Value"][0]
        for item in node.get_json(f"/dicom-web/studies/{uid}/instances?limit=10000"):
            found[item["00080018"]["Value"][0]] = (uid, item["0020000E"]["Value"][0])
    held = {path.stem: path for path in (node.data / "instances").rglob("*.dcm")}
    explained = shown = 0
    for path in stored:
        uid = instance_uid(path)
        assert uid in found, f"{path.name} was acknowledged but is not listed"
        assert is_same_data_set(held[uid], path, references.get(uid)), path.name
        if tool == "dcmsend":  # the bytes are the same by either tool: once is enough
            is_shown = is_shown_or_explained(node, *found[uid], uid)
            shown += is_shown
            explained += not is_shown
    print(
        f"\n{source} by {tool}: {len(stored)} of {len(files)} acknowledged, "
        f"{shown} shown, {explained} explained"
    )
    assert tool != "dcmsend" or shown > 0.6 * len(stored)


def is_shown_or_explained(node, study: str, series: str, uid: str) -> bool:
    """Return whether an instance renders; if not, check that the answer says why."""
    status, body = node.get(
        f"/dicom-web/studies/{study}/series/{series}/instances/{uid}/rendered?viewport=512,512",
        Accept="image/jpeg, application/json",
    )
    if status == 200:
        assert body.startswith(b"\xff\xd8"), uid
        return True
    assert status in (400, 404, 406, 415), (uid, status, body)
    assert len(json.loads(body)["error"]["message"]) > 10, uid
    return False
