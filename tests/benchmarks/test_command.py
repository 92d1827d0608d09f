"""`python -m benchmarks` works, with or without the peers; how fast is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_benchmarks(tmp_path):
    """Run the command with no program on its PATH."""
    nothing = tmp_path / "empty"
    nothing.mkdir()

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "benchmarks", *options],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            cwd=REPOSITORY,
            env={"PATH": str(nothing), "LANG": "C.UTF-8"},
        )

    return run


def test_help_names_the_options(run_benchmarks):
    done = run_benchmarks("--help")

    assert done.returncode == 0, done.stderr
    for option in ("--only", "--quick", "--rounds", "--json", "--folder"):
        assert option in done.stdout


@pytest.mark.full_faults
@pytest.mark.timeout(700)
def test_a_quick_render_run_measures_lifeboat_names_absent_peers_and_cleans_up(
    run_benchmarks, tmp_path
):
    folder, report = tmp_path / "work", tmp_path / "figures.json"
    folder.mkdir()

    done = run_benchmarks("--quick", "--only=render", f"--folder={folder}", f"--json={report}")

    assert done.returncode == 0, done.stderr
    *_, opened, memory = results = json.loads(report.read_text())["render"]
    assert [timing["failure"] for timing in opened["timings"]] == ["", ""]
    assert memory["pictures"] == [8, 40]
    assert min(memory["resident_mb"]) > 0
    pictures = results[0]["timings"]
    measured = {timing["name"] for timing in pictures if timing["times_ms"]}
    assert {"Lifeboat viewer, in process", "Lifeboat over HTTP, new window"} <= measured
    absent = {timing["failure"] for timing in pictures if not timing["times_ms"]}
    assert "dcmj2pnm is not installed" in absent
    assert "dcmj2pnm is not installed" in " ".join(done.stdout.split())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("part", ["ingest", "drain"])
def test_a_run_without_a_sender_is_refused_in_one_line(run_benchmarks, tmp_path, part):
    done = run_benchmarks("--quick", f"--only={part}", f"--folder={tmp_path}")

    assert done.returncode == 1
    assert done.stderr == f"benchmarks: no {part}: dcmsend is not installed\n"


def test_a_quick_header_run_measures_lifeboat_and_pydicom(run_benchmarks, tmp_path):
    report = tmp_path / "figures.json"

    done = run_benchmarks("--quick", "--only=header", f"--folder={tmp_path}", f"--json={report}")

    assert done.returncode == 0, done.stderr
    (ct, *_) = json.loads(report.read_text())["header"]
    measured = {timing["name"]: timing["times_ms"] for timing in ct["timings"]}
    assert measured["Lifeboat read_header"]
    assert measured["pydicom dcmread, before pixels"]
    assert "dcmdump is not installed" in done.stdout
