import contextlib
import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.errors import BadDataset
from dicom_node.part10 import (
    DIGEST_LENGTH,
    build_head,
    digest_offset,
    read_head,
    seal,
)

CLASS, INSTANCE, SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1"


def head(source: str = "CT1", received_at: str = "2026-01-02T03:04:05.678+00:00") -> bytes:
    return build_head(
        CLASS, INSTANCE, SYNTAX, source_ae_title=source, received_at=received_at, digest="a" * 64
    )


def test_what_is_written_is_read_back():
    found = read_head(head())
    assert (found.sop_class_uid, found.sop_instance_uid) == (CLASS, INSTANCE)
    assert found.transfer_syntax_uid == SYNTAX
    assert (found.source_ae_title, found.digest) == ("CT1", "a" * 64)
    assert found.received_at == "2026-01-02T03:04:05.678+00:00"
    assert found.dataset_offset == len(head())


@pytest.mark.parametrize("source", ["", "A", "AB", "SIXTEEN-CHARS-AE"])
def test_the_digest_can_be_overwritten_in_place(source):
    built = bytearray(head(source))
    at = digest_offset(bytes(built))
    built[at : at + DIGEST_LENGTH] = b"b" * DIGEST_LENGTH
    assert read_head(bytes(built)).digest == "b" * 64


@pytest.mark.parametrize("source", ["", "A", "AB"])
def test_a_head_is_sealed_in_place_and_without_a_seal_has_no_checksum(source):
    built = head(source)
    assert read_head(built).checksum == ""
    sealed = built
    for checksum in (0xF00D, 0xBEEF):
        offset, end = seal(sealed, checksum, "c" * 64)
        sealed = sealed[:offset] + end
    assert len(sealed) == len(built)
    found = read_head(sealed)
    assert (found.checksum, found.digest) == ("0000beef", "c" * 64)
    assert found.received_at == read_head(built).received_at


def test_a_head_of_a_time_without_checksums_gets_none_and_keeps_its_time():
    built = head()
    digest = b"a" * DIGEST_LENGTH
    older = built.replace(b"2026", b" " * 9 + b"2026").replace(b"00000000 " + digest, digest)
    assert len(older) == len(built)
    offset, end = seal(older, 0xBEEF, "c" * 64)
    found = read_head(older[:offset] + end)
    assert (found.checksum, found.digest) == ("", "c" * 64)
    assert found.received_at == "2026-01-02T03:04:05.678+00:00"


def test_pydicom_reads_the_head():
    meta = pydicom.dcmread(io.BytesIO(head())).file_meta
    assert meta.MediaStorageSOPInstanceUID == INSTANCE
    assert meta.SourceApplicationEntityTitle == "CT1"
    assert meta.PrivateInformationCreatorUID


def test_the_preamble_is_empty():
    assert head()[:128] == bytes(128)


@pytest.mark.parametrize("cut", [0, 100, 132, 140, 170, 200])
def test_a_cut_head_is_a_bad_dataset(cut):
    with pytest.raises(BadDataset):
        read_head(head()[:cut])


@given(st.binary(max_size=300))
def test_garbage_is_a_bad_dataset_and_nothing_else(data):
    with pytest.raises(BadDataset):
        read_head(data)


@given(st.binary(max_size=300))
def test_garbage_behind_a_prefix_never_crashes(data):
    with contextlib.suppress(BadDataset):
        read_head(bytes(128) + b"DICM" + data)
