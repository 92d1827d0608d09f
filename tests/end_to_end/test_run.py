"""`lifeboat run` and its siblings as an operator meets them."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

REFUSAL = re.compile(r"lifeboat: [^\n]+\n")


def one_clear_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result
    lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("lifeboat: ")
    assert "Traceback" not in result.stderr
    return lines[0]


def test_run_announces_itself_serves_and_drains_on_sigterm(make_node, make_series, storescu, wait):
    node = make_node().start("run")
    assert storescu(node.dicom_port, make_series(3)).returncode == 0
    wait(lambda: node.get_json("/healthz")["instances"] == 3)
    status = node.run("status", "--json")
    assert status.returncode == 0
    found = json.loads(status.stdout)
    assert found["is_receiving"]
    assert found["is_serving"]
    assert found["instances"] == 3
    process = node.processes.pop("run")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Lifeboat is up" in node.log.read_text()
    assert node.run("status").returncode == 1


def children_of(pid: int) -> dict[str, int]:
    """Return the process ids of a supervisor's children by the name of their command."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{entry}/cmdline") as file:
                words = file.read().split("\0")
        except OSError:
            continue
        if parent == pid and "lifeboat" in words:
            found[words[words.index("lifeboat") + 1]] = int(entry)
    return found


def test_a_process_that_dies_is_started_again(make_node, make_series, storescu, wait):
    node = make_node().start("run")
    supervisor = node.processes["run"].pid
    before = children_of(supervisor)
    assert set(before) == {"receive", "web", "sync-worker"}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait(lambda: not (set(children_of(supervisor).values()) & set(before.values())))
    wait(lambda: set(children_of(supervisor)) == set(before))
    wait(lambda: storescu(node.dicom_port, make_series(1)).returncode == 0)
    node.wait_for_port(node.web_port)
    wait(lambda: node.get_json("/healthz")["instances"] == 1)


def test_the_processes_end_when_the_supervisor_is_killed(make_node, wait):
    node = make_node().start("run")
    children = children_of(node.processes["run"].pid)
    node.kill("run")
    wait(lambda: not [pid for pid in children.values() if is_alive(pid)])


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("command", ["receive", "run"])
def test_a_taken_dicom_port_is_one_clear_line(make_node, command):
    first = make_node().start("receive")
    second = make_node(f"dicom.port={first.dicom_port}")
    line = one_clear_line(second.run(command))
    assert f"port {first.dicom_port}" in line
    assert "dicom.port" in line


@pytest.mark.parametrize("command", ["web", "run"])
def test_a_taken_web_port_is_one_clear_line(make_node, command):
    first = make_node().start("web")
    second = make_node(f"web.port={first.web_port}")
    assert str(first.web_port) in one_clear_line(second.run(command))


def test_the_web_refuses_other_addresses_than_this_machine(make_node):
    line = one_clear_line(make_node("web.host=0.0.0.0").run("web"))
    assert "account" in line


def test_a_bad_key_is_one_clear_line(make_node):
    for command in ("run", "receive", "web", "check", "status", "reindex", "sync status"):
        line = one_clear_line(make_node("dicom.prot=1").run(command))
        assert "prot" in line


def test_a_data_folder_that_cannot_be_written_is_one_clear_line(make_node, tmp_path):
    (tmp_path / "file").write_text("")
    node = make_node()
    node.data = tmp_path / "file" / "data"
    for command in ("receive", "run", "sync-worker"):
        assert str(node.data) in one_clear_line(node.run(command))


def test_two_nodes_never_share_a_data_folder(make_node):
    first = make_node().start("receive")
    second = make_node()
    second.data = first.data
    assert "another Lifeboat" in one_clear_line(second.run("receive"))
    assert "another Lifeboat" in one_clear_line(second.run("reindex"))


def test_reindex_builds_the_same_index(make_node, make_series, storescu, wait):
    node = make_node().start("receive", "web")
    assert storescu(node.dicom_port, make_series(5)).returncode == 0
    wait(lambda: node.get_json("/healthz")["instances"] == 5)
    before = node.get_json("/dicom-web/studies")
    node.stop()
    (node.data / "index.sqlite").unlink()
    result = node.run("reindex")
    assert result.returncode == 0, result.stderr
    assert "5 instances indexed" in result.stdout
    node.start("web")
    assert node.get_json("/dicom-web/studies") == before


def test_nothing_is_called_returned_before_sync_has_looked(make_node, make_series, storescu, wait):
    node = make_node("pacs.host=127.0.0.1", "pacs.port=9").start("receive", "web")
    assert storescu(node.dicom_port, make_series(3)).returncode == 0
    wait(lambda: node.get_json("/healthz")["instances"] == 3)
    result = node.run("sync status")
    assert result.returncode == 1
    assert "3 instances are not queued yet" in result.stdout


def test_status_is_not_fooled_by_another_program_on_the_ports(make_node):
    node = make_node()
    ports = (node.dicom_port, node.web_port)
    with contextlib.ExitStack() as others:
        for port in ports:
            others.enter_context(socket.create_server(("127.0.0.1", port)))
        status = node.run("status", "--json")
    assert status.returncode == 1
    found = json.loads(status.stdout)
    assert not found["is_receiving"]
    assert not found["is_serving"]


@pytest.mark.parametrize("name", ["index.sqlite", "ledger.sqlite"])
def test_a_damaged_database_is_one_clear_line(make_node, name):
    node = make_node("pacs.host=127.0.0.1", "pacs.port=9")
    node.data.mkdir()
    (node.data / name).write_bytes(b"not a database" * 1000)
    line = one_clear_line(node.run("sync status"))
    assert name in line


def test_check_says_what_to_do(make_node, free_ports):
    result = make_node("pacs.host=127.0.0.1", f"pacs.port={free_ports(1)[0]}").run("check")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "set dicom.host for scanners" in result.stdout
    assert "nobody listens" in result.stdout
    full = make_node("storage.reserve_bytes=1000000000000000").run("check")
    assert full.returncode == 1


def test_send_sends_files_and_folders_and_names_what_was_refused(make_node, make_series, tmp_path):
    node = make_node().start("receive")
    paths = make_series(4)
    (paths[0].parent / "note.txt").write_text("not a DICOM file")
    target = ["--to", f"127.0.0.1:{node.dicom_port}", "--aet", "LIFEBOAT"]
    result = node.run("send", str(paths[0].parent), *target)
    assert result.returncode == 1
    assert "4 of 5 instances stored" in result.stdout
    assert "note.txt" in result.stderr
    (paths[0].parent / "note.txt").unlink()
    assert node.run("send", *map(str, paths), *target).returncode == 0
    nobody = node.run("send", str(paths[0]), "--to", "127.0.0.1:9", "--aet", "X")
    one_clear_line(nobody)


def command_paths() -> list[list[str]]:
    from lifeboat import cli

    found = [[]]
    for name, command in cli.commands.items():
        found.append([name])
        found += [[name, inner] for inner in getattr(command, "commands", {})]
    return found


@pytest.mark.parametrize("words", command_paths(), ids=" ".join)
def test_every_command_has_help_with_an_example(words):
    result = subprocess.run(
        [sys.executable, "-m", "lifeboat", *words, "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 0
    assert words == ["sync"] or "Example" in result.stdout or "Try it" in result.stdout
