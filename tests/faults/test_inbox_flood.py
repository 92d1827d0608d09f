"""Fifty thousand files dropped at once, and what can happen to their folder meanwhile."""

import json
import os
import shutil

import pytest


@pytest.mark.full_faults
@pytest.mark.timeout(3600)
def test_fifty_thousand_files_survive_a_restart_and_a_folder_that_goes_away(
    make_node, flood, wait, tmp_path
):
    count = 50_000
    node = make_node("storage.sync_writes=true").start("receive")
    inbox = node.data / "inbox"
    staging = node.data / "staging"
    staging.mkdir()
    flood(staging, count)
    os.rename(staging, inbox / "all")

    def held() -> int:
        return _counts(node)["instances"]

    wait(lambda: held() > 1000, 600, "the first thousand")
    node.kill("receive")  # in the middle of it
    node.start("receive")
    wait(lambda: held() > 5000, 600, "more after the restart")
    os.rename(inbox, node.data / "away")
    wait(lambda: _counts(node)["inbox"] == "gone", 60, "it is told that the inbox is gone")
    os.rename(node.data / "away", inbox)
    wait(lambda: held() == count, 2400, "all of them")
    wait(lambda: not list((inbox / "all").iterdir()), 60, "the inbox is empty")
    assert _counts(node)["quarantined"] == 0
    shutil.rmtree(inbox / "all")


def _counts(node) -> dict:
    return json.loads(node.run("status", "--json").stdout)
