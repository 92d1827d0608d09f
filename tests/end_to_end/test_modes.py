"""The mode from a terminal: looked at, ordered, taken back."""

import json


def test_a_drill_is_ordered_seen_and_taken_back_from_a_terminal(make_node):
    node = make_node()
    node.data.mkdir()
    refused = node.run("mode drill")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--reason" in refused.stderr
    given = node.run("mode drill", "--reason", "rehearsal [3]", "--for", "90m")
    assert (given.returncode, given.stderr) == (0, "")
    assert "DRILL" in given.stdout
    assert "rehearsal [3]" in given.stdout
    status = node.run("mode status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["reason"] == "rehearsal [3]"
    assert node.run("mode auto").stdout.startswith("NORMAL")
    assert node.run("mode status").returncode == 0
