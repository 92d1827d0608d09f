"""A disk that keeps the node from taking images is told, and forgotten only by a new start."""

import json

from dicom_node.errors import StorageFailed, StorageFull
from dicom_node.settings import load_settings
from dicom_node.trouble import FILE, Trouble, troubles


def settings_of(data, *overrides):
    return load_settings(
        environment={}, data=data, overrides=["storage.reserve_bytes=0", *overrides]
    )


def test_a_sound_disk_is_no_trouble(tmp_path):
    Trouble(tmp_path)
    assert troubles(settings_of(tmp_path)) == []


def test_a_failed_disk_is_told_once_until_the_next_start(tmp_path):
    trouble = Trouble(tmp_path)
    for _ in range(2):
        trouble.tell(StorageFailed("the disk refused the write, not saved"))
    (words,) = troubles(settings_of(tmp_path))
    assert "the disk refused the write" in words
    assert json.loads((tmp_path / FILE).read_text())["reason"].startswith("the disk refused")
    Trouble(tmp_path)
    assert troubles(settings_of(tmp_path)) == []


def test_a_full_disk_shows_by_itself_and_goes_by_itself(tmp_path):
    Trouble(tmp_path).tell(StorageFull("no disk space, not saved"))
    assert not (tmp_path / FILE).exists()
    (words,) = troubles(settings_of(tmp_path, f"storage.reserve_bytes={1 << 60}"))
    assert "full" in words
    assert troubles(settings_of(tmp_path)) == []


def test_a_disk_without_free_inodes_shows_by_itself(tmp_path):
    (words,) = troubles(settings_of(tmp_path, f"storage.reserve_inodes={1 << 60}"))
    assert "no more files" in words


def test_a_damaged_note_hurts_nobody(tmp_path):
    (tmp_path / FILE).write_text("{")
    assert troubles(settings_of(tmp_path)) == []
