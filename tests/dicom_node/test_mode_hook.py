"""Others are told of a change, by a real program and a real web server; neither is waited for."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dicom_node.mode_hook import ModeChange, ModeHook
from dicom_node.setting_tables import ModeSettings
from dicom_node.settings import load_settings

CHANGE = ModeChange(
    "Theatre 3", "outage", "suspect", "2026-01-02T03:04:05+00:00", "node", "it is $(id) silent"
)


@pytest.fixture
def make_hook():
    hooks = []

    def make(**settings) -> ModeHook:
        hooks.append(ModeHook(ModeSettings(**settings)))
        hooks[-1].start()
        return hooks[-1]

    yield make
    for hook in hooks:
        hook.stop()


@pytest.fixture
def make_web_server():
    servers = []

    def make(status: int, bodies: list[bytes]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *words) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/mode"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_program_gets_the_change_in_its_environment_and_no_shell_reads_it(
    make_hook, tmp_path, wait
):
    script = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"
    file = tmp_path / "a file; with $odd name"
    make_hook(hook_command=(sys.executable, "-c", script, str(file))).announce(CHANGE)
    wait(lambda: file.exists() and file.read_text())
    found = json.loads(file.read_text())
    assert {name: found[name] for name in found if name.startswith("LIFEBOAT_")} == {
        "LIFEBOAT_NODE": "Theatre 3",
        "LIFEBOAT_MODE": "outage",
        "LIFEBOAT_MODE_BEFORE": "suspect",
        "LIFEBOAT_MODE_AT": CHANGE.at,
        "LIFEBOAT_MODE_BY": "node",
        "LIFEBOAT_MODE_REASON": "it is $(id) silent",
    }


def test_a_program_that_hangs_or_fails_or_is_not_there_stops_no_later_one(
    make_hook, make_web_server, tmp_path, wait
):
    file, bodies = tmp_path / "child.pid", []
    url = make_web_server(500, bodies)
    hanging = f"sleep 60 & echo $! > {file}; wait"
    for command in (("/nowhere/at-all",), ("false",), ("sh", "-c", hanging)):
        hook = make_hook(hook_command=command, hook_url=url, hook_timeout_s=1.0)
        began = time.monotonic()
        hook.announce(CHANGE)
        assert time.monotonic() - began < 1
    wait(lambda: len(bodies) == 3)
    assert json.loads(bodies[0])["mode"] == "outage"
    child = int(file.read_text())
    wait(lambda: not _runs(child), what="what the program started is killed with it")


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_a_hook_nothing_runs(make_hook):
    before = threading.active_count()
    make_hook().announce(CHANGE)
    assert threading.active_count() == before


def test_the_command_is_a_list_in_the_file(tmp_path):
    file = tmp_path / "node.toml"
    file.write_text('[mode]\nhook_command = ["/usr/bin/notify", "PACS mode, changed"]\n')
    settings = load_settings(file, environment={})
    assert settings.mode.hook_command == ("/usr/bin/notify", "PACS mode, changed")
