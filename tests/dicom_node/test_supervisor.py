import sys
import threading

from dicom_node.supervisor import EXIT_BAD_SETTINGS, Child, Supervisor


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def run(supervisor: Supervisor, is_ready=lambda: False) -> list[int]:
    """Run in a thread; return a list that will hold the exit code."""
    result: list[int] = []
    thread = threading.Thread(
        target=lambda: result.append(supervisor.run(is_ready, supervisor.stop))
    )
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return result


def test_bad_settings_of_one_process_end_all():
    supervisor = Supervisor(
        {"good": python("import time; time.sleep(60)"), "bad": python("raise SystemExit(2)")},
        drain_timeout_s=5,
    )
    assert run(supervisor) == [EXIT_BAD_SETTINGS]
    assert all(child.process.poll() is not None for child in supervisor.children)


def test_a_process_that_ignores_sigterm_is_ended_all_the_same():
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    supervisor = Supervisor({"stubborn": python(stubborn)}, drain_timeout_s=0.5)
    assert run(supervisor, is_ready=lambda: True) == [0]
    assert supervisor.children[0].process.poll() is not None


def test_the_wait_before_a_restart_doubles_and_is_forgotten_by_a_long_life():
    now = [0.0]
    child = Child("any", python("pass"), None, monotonic=lambda: now[0])
    child._started_at = 0.0
    assert [child.plan_restart() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    child._started_at, now[0] = 100.0, 1000.0
    assert child.plan_restart() == 1
