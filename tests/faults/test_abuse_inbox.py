"""Bad files in the watched folder: taken under our own names, put aside with a reason, or left."""

import os
import re
import socket
import stat
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.faults.abuse_datasets import (
    MARK,
    ct,
    element,
    item,
    new_uid,
    part10,
)
from tests.faults.abuse_target import SETTINGS, Target, running_target

INCOMPLETE_S = 6.0
FOUND_S = 60.0
FILES_AT_ONCE = 50_000 if os.environ.get("LIFEBOAT_FAULTS") == "full" else 500
ENOUGH_LOOKS_S = 2.0
"""Several looks of the inbox, and the time a file must stand still."""
WITHOUT_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture(scope="module")
def target(tmp_path_factory, free_ports) -> Iterator[Target]:
    settings = (*SETTINGS, f"inbox.incomplete_wait_s={INCOMPLETE_S}")
    folder = tmp_path_factory.mktemp("inbox")
    with running_target(folder, free_ports(2), settings=settings) as target:
        yield target


@pytest.fixture(autouse=True)
def _nothing_else_suffers(target) -> Iterator[None]:
    yield
    target.check()


@pytest.fixture
def inbox(target) -> Path:
    return target.data / "inbox"


def drop(folder: Path, name: str | bytes, content: bytes) -> bytes:
    """Put a whole file into a folder under a name at once; return its path."""
    part = folder / f"{new_uid()}.part"
    part.write_bytes(content)
    path = os.path.join(os.fsencode(folder), os.fsencode(name))
    os.rename(part, path)
    return path


NAMES = {
    "row68-back-slashes": b"..\\..\\QZMARKER.dcm",
    "row68-255-bytes": b"QZMARKER" * 31 + b"QZM.dcm",
    "row68-newline": b'QZMARKER\n{"event": "forged"}\n.dcm',
    "row68-invalid-utf-8": b"QZMARKER\xff\xfe.dcm",
    "row68-device": b"NUL.dcm",
    "row68-terminal": b"QZMARKER\x1b[2J.dcm",
    "row68-option": b"-rf QZMARKER",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_name_is_taken_under_our_own(target, inbox, name):
    uid = new_uid()
    data_set = ct(uid)
    path = drop(inbox, NAMES[name], part10(data_set, uid))
    [file] = wait_until(lambda: target.stored(uid))
    assert file.endswith(data_set)
    wait_until(lambda: not os.path.lexists(path))


@pytest.fixture(scope="module")
def oddities(target, tmp_path_factory) -> Iterator[dict[str, tuple[Path, str]]]:
    """Put what is no ordinary file into the inbox: name -> (entry, UID of what it leads to)."""
    folder, outside = target.data / "inbox", tmp_path_factory.mktemp("outside")
    made = {}
    for name in ("symlink", "hardlink", "fifo", "socket", "folder", "linked-folder", "device"):
        secret = outside / name
        uid = new_uid()
        secret.write_bytes(part10(ct(uid), uid))
        made[name] = (folder / f"{name}.dcm", uid)
    os.symlink(outside / "symlink", made["symlink"][0])
    os.link(outside / "hardlink", made["hardlink"][0])
    os.mkfifo(made["fifo"][0])
    os.mkdir(made["folder"][0])
    os.symlink(outside, made["linked-folder"][0])
    with socket.socket(socket.AF_UNIX) as listener:
        fd = os.open(folder, os.O_PATH)  # the address of a socket must be short
        listener.bind(f"/proc/self/fd/{fd}/socket.dcm")
        os.close(fd)
    try:
        os.mknod(made["device"][0], stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        del made["device"]
    time.sleep(ENOUGH_LOOKS_S)  # nothing is to happen, which cannot be polled for
    yield made
    for entry, _ in made.values():
        if entry.is_dir() and not entry.is_symlink():
            entry.rmdir()
        else:
            entry.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "name",
    ["symlink", "hardlink", "fifo", "socket", "linked-folder", "device"],
    ids=lambda name: f"row69-{name}",
)
def test_what_is_no_ordinary_file_is_left_alone_and_reported(target, oddities, name):
    if name not in oddities:
        pytest.skip("only root may make a device file")
    entry, uid = oddities[name]
    assert os.path.lexists(entry)
    assert target.stored(uid) == []
    assert [line for line in target.events() if line["event"] == "inbox_entry_ignored"]


def test_row69_a_folder_named_like_a_file_is_only_a_folder(target, oddities):
    entry, _ = oddities["folder"]
    uid = new_uid()
    drop(entry, "a.dcm", part10(ct(uid), uid))
    wait_until(lambda: target.stored(uid))


def test_row70_what_a_directory_file_names_outside_is_not_read(target, inbox, tmp_path):
    uid = new_uid()
    secret = tmp_path / "secret.dcm"
    secret.write_bytes(part10(ct(uid), uid))
    record = element(0x00041500, "CS", "..\\" * 12 + str(secret).replace("/", "\\").upper()[1:])
    directory = element(0x00041130, "CS", MARK) + element(0x00041220, "SQ", item(record))
    path = drop(inbox, "DICOMDIR", part10(directory, "1.2.3"))
    wait_until(lambda: not os.path.lexists(path), INCOMPLETE_S + 10)
    assert secret.exists()
    assert target.stored(uid) == []


def test_row71_a_file_that_grows_with_a_pause_is_imported_once_and_whole(target, inbox):
    uid = new_uid()
    data_set = ct(uid)
    whole = part10(data_set, uid)
    quarantined = len(list((target.data / "quarantine").iterdir()))
    path = inbox / "growing.dcm"
    path.write_bytes(whole[:400])
    time.sleep(INCOMPLETE_S / 2)  # the pause itself
    assert target.stored(uid) == []
    with path.open("ab") as file:
        file.write(whole[400:])
    [file] = wait_until(lambda: target.stored(uid))
    assert file.endswith(data_set)
    wait_until(lambda: not path.exists())
    assert len(list((target.data / "quarantine").iterdir())) == quarantined


def test_row72_a_file_that_is_replaced_again_and_again_is_never_mixed(target, inbox):
    """Each replacement is another file: those that are taken are whole, and the last one is."""
    uids = [new_uid() for _ in range(30)]
    data_sets = {uid: ct(uid) for uid in uids}
    for uid in uids:
        path = drop(inbox, "replaced.dcm", part10(data_sets[uid], uid))
        time.sleep(0.05)  # faster than a file is taken
    wait_until(lambda: target.stored(uids[-1]))
    wait_until(lambda: not os.path.lexists(path))
    for uid in uids:
        assert all(file.endswith(data_sets[uid]) for file in target.stored(uid))


OTHERS = {
    "row73-empty": b"",
    "row73-dicm-only": b"DICM",
    "row73-prefix-only": bytes(128) + b"DICM",
    "row73-random": bytes(index * 7919 % 251 for index in range(5000)),
    "row73-zip": b"PK\3\4" + MARK.encode() * 20,
    "row73-gzip": b"\x1f\x8b\x08" + zlib.compress(MARK.encode() * 20),
    "row73-exe": b"MZ\x90\0" + MARK.encode() * 20,
    "row73-jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + MARK.encode() * 20,
    "row74-without-preamble": ct("1.2.826.0.1.3680043.8.498.74"),
}


@pytest.fixture(scope="module")
def others(target) -> dict[str, bytes]:
    """Drop all files of other kinds at once: the incomplete ones are waited for together."""
    folder = target.data / "inbox"
    return {name: drop(folder, f"{name}.dcm", content) for name, content in OTHERS.items()}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_kind_is_put_aside_with_the_reason(target, others, name):
    wait_until(lambda: target.quarantined(OTHERS[name]), INCOMPLETE_S + 10)
    wait_until(lambda: not os.path.lexists(others[name]))


def test_row75_many_files_at_once_are_all_found(target, inbox):
    contents = {uid: part10(ct(uid), uid) for uid in (new_uid() for _ in range(FILES_AT_ONCE))}
    began = time.monotonic()
    for uid, content in contents.items():
        (inbox / f"{uid}.dcm").write_bytes(content)
    wait_until(lambda: not list(inbox.glob("1.2.826*.dcm")), FOUND_S + FILES_AT_ONCE / 100)
    print(f"{FILES_AT_ONCE} files were taken in {time.monotonic() - began:.1f} s")
    some = list(contents)[:: max(1, FILES_AT_ONCE // 50)]
    # what left the inbox is in the journal, and gets its file a little later
    wait_until(lambda: all(target.stored(uid) for uid in some))


def test_row75_a_folder_that_went_away_is_missed_and_taken_up_again(target, inbox):
    lines = len(target.events())
    away = inbox.with_name("inbox.away")
    inbox.rename(away)
    try:
        events = wait_until(
            lambda: [line for line in target.events(lines) if line["event"].startswith("inbox_")],
            what="the missing folder is reported",
        )
        assert events[0]["level"] in ("warning", "error")
    finally:
        away.rename(inbox)
    uid = new_uid()
    drop(inbox, "back.dcm", part10(ct(uid), uid))
    wait_until(lambda: target.stored(uid), FOUND_S)


def test_row75_a_folder_that_was_made_anew_is_watched(target, inbox):
    away = inbox.with_name("inbox.old")
    inbox.rename(away)
    if not inbox.exists():  # or the node made it by itself
        inbox.mkdir()
    uid = new_uid()
    drop(inbox, "new.dcm", part10(ct(uid), uid))
    wait_until(lambda: target.stored(uid), FOUND_S)


def test_row75_a_folder_nobody_may_read_is_found_after_the_repair(make_node):
    node = make_node()
    if os.geteuid() == 0:  # whom permissions bind only without these
        plain = node.command
        node.command = lambda *words: [*WITHOUT_OVERRIDE, *plain(*words)]
    inner = node.start("receive").data / "inbox" / "closed"
    inner.mkdir()
    uid = new_uid()
    drop(inner, "a.dcm", part10(ct(uid), uid))
    inner.chmod(0)
    time.sleep(ENOUGH_LOOKS_S)  # nothing is to happen, which cannot be polled for
    assert not list((node.data / "instances").rglob("*.dcm"))
    inner.chmod(0o700)
    wait_until(lambda: list((node.data / "instances").rglob("*.dcm")), FOUND_S)


def test_row76_on_a_full_disk_the_original_stays(make_node):
    node = make_node("storage.reserve_bytes=1152921504606846976").start("receive")
    uid = new_uid()
    path = drop(node.data / "inbox", "a.dcm", part10(ct(uid), uid))
    wait_until(lambda: re.search(r'"inbox_\w*waits', node.log.read_text()), what="it is reported")
    assert Path(os.fsdecode(path)).read_bytes() == part10(ct(uid), uid)
    assert not list((node.data / "instances").rglob("*.dcm"))
    assert MARK not in node.log.read_text()
