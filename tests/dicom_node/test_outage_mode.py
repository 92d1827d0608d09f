"""The rules of the modes: whatever is found, in whatever order, at whatever time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.outage_mode import (
    ALL_PROOFS,
    Mode,
    PacsMode,
    Proof,
    after_proof,
    after_verdict,
    with_order,
    worst,
)
from dicom_node.setting_tables import ModeSettings
from dicom_node.verdict import Condition, Layer, Verdict

RULES = ModeSettings(failures_to_suspect=2, outage_after_s=30.0, answers_to_recover=2)
ECHOES = Verdict(Condition.HEALTHY, Layer.ECHO, "it answers C-ECHO")
STORES = Verdict(Condition.HEALTHY, Layer.STORE, "it takes instances")
FROZEN = Verdict(Condition.FROZEN, Layer.ASSOCIATION, "it stays silent")
FULL = Verdict(Condition.TRANSIENTLY_FULL, Layer.ASSOCIATION, "it has no room")
NO_STORE = Verdict(Condition.CANNOT_STORE, Layer.STORE, "it refuses images: A700")
EVER_UP = {Mode.NORMAL, Mode.SUSPECT}

verdicts = st.builds(Verdict, st.sampled_from(Condition), st.sampled_from(Layer), st.just(""))
findings = st.one_of(verdicts, st.sampled_from((Proof.STORE, Proof.COMMITMENT)))
sequences = st.lists(st.tuples(findings, st.floats(0, 100)), max_size=60)
rules = st.builds(
    ModeSettings,
    failures_to_suspect=st.integers(1, 4),
    outage_after_s=st.floats(0, 60),
    answers_to_recover=st.integers(1, 4),
)


def follow(state, *found, every_s: float = 10.0, start_s: float = 0.0, settings=RULES):
    """Return where a PACS stands after each finding, one every some seconds."""
    states = []
    for number, finding in enumerate(found):
        if isinstance(finding, Proof):
            state = after_proof(state, finding)
        else:
            state = after_verdict(state, finding, start_s + number * every_s, settings)
        states.append(state)
    return states


def modes(states) -> list[str]:
    return [state.mode.value for state in states]


def down() -> PacsMode:
    return follow(PacsMode(), *[FROZEN] * 5)[-1]


def test_an_outage_is_first_suspected_then_believed():
    found = modes(follow(PacsMode(), FROZEN, FROZEN, FROZEN, FROZEN, FROZEN))
    assert found == ["normal", "suspect", "suspect", "outage", "outage"]


def test_one_lost_echo_changes_nothing():
    assert modes(follow(PacsMode(), *[ECHOES, FROZEN, ECHOES] * 20)) == ["normal"] * 60


def test_every_other_echo_lost_is_no_outage_however_long():
    assert "outage" not in modes(follow(PacsMode(), *[FROZEN, FROZEN, ECHOES] * 100))


def test_a_suspicion_ends_with_answers_in_a_row():
    found = modes(follow(PacsMode(), FROZEN, FROZEN, ECHOES, FROZEN, ECHOES, ECHOES))
    assert found == ["normal", "suspect", "suspect", "suspect", "suspect", "normal"]


def test_quick_looks_do_not_make_an_outage_quicker():
    states = follow(PacsMode(), *[FROZEN] * 29, every_s=1.0)
    assert states[-1].mode is Mode.SUSPECT


def test_a_full_pacs_is_never_called_down():
    assert set(modes(follow(PacsMode(), *[FULL] * 500))) == {"normal", "suspect"}


def test_a_full_pacs_that_dies_is_down_after_the_same_time_as_any():
    states = follow(PacsMode(), *[FULL] * 100, FROZEN, FROZEN, FROZEN, FROZEN)
    assert modes(states[100:]) == ["suspect", "suspect", "suspect", "outage"]


def test_a_pacs_that_echoes_but_takes_nothing_is_down_until_it_takes_something():
    trouble = [NO_STORE, ECHOES] * 3
    states = follow(PacsMode(), *trouble)
    assert states[-1].mode is Mode.OUTAGE
    states = follow(states[-1], *[ECHOES] * 20)
    assert states[-1].mode is Mode.OUTAGE
    assert follow(states[-1], Proof.STORE, ECHOES, ECHOES)[-1].mode is Mode.RECOVERING


@pytest.mark.parametrize("missing", list(Proof))
def test_a_recovery_needs_echo_store_and_commitment(missing):
    state = replace(down(), mode=Mode.RECOVERING, proofs=frozenset(), failures=0)
    proofs = {Proof.ECHO: ECHOES, Proof.STORE: Proof.STORE, Proof.COMMITMENT: Proof.COMMITMENT}
    rest = [finding for proof, finding in proofs.items() if proof is not missing]
    state = follow(state, *rest * 5)[-1]
    assert state.mode is Mode.RECOVERING
    assert state.missing_proofs == {missing}
    assert follow(state, proofs[missing])[-1] == PacsMode()


def test_what_was_proven_while_it_came_back_counts():
    states = follow(down(), ECHOES, Proof.STORE, Proof.COMMITMENT, ECHOES, ECHOES)
    assert modes(states) == ["outage", "outage", "outage", "recovering", "normal"]


def test_a_recovery_survives_a_lost_echo_and_not_two():
    state = follow(down(), ECHOES, ECHOES, Proof.STORE)[-1]
    lost = follow(state, FROZEN)[-1]
    assert (lost.mode, Proof.ECHO in lost.proofs) == (Mode.RECOVERING, False)
    again = follow(lost, FROZEN)[-1]
    assert (again.mode, again.proofs) == (Mode.OUTAGE, frozenset())


def test_a_recovery_that_cannot_store_stays_one_and_does_not_flap():
    state = follow(down(), ECHOES, ECHOES)[-1]
    states = follow(state, *[NO_STORE, ECHOES] * 50, FULL)
    assert set(modes(states)) == {"recovering"}


@given(sequences, rules)
def test_whatever_is_found_it_goes_one_step_at_a_time(sequence, settings):
    allowed = {
        ("normal", "suspect"),
        ("suspect", "normal"),
        ("suspect", "outage"),
        ("outage", "recovering"),
        ("recovering", "outage"),
        ("recovering", "normal"),
    }
    state, now_s = PacsMode(), 0.0
    for finding, passed_s in sequence:
        now_s += passed_s
        before, (state,) = state, follow(state, finding, start_s=now_s, settings=settings)
        step = (before.mode.value, state.mode.value)
        assert step[0] == step[1] or step in allowed
        if step == ("recovering", "normal"):
            given_now = {finding} if isinstance(finding, Proof) else _proven_by(finding)
            assert before.proofs | given_now == ALL_PROOFS


def _proven_by(verdict: Verdict) -> set[Proof]:
    return {Proof.ECHO} | ({Proof.STORE} if verdict.layer >= Layer.STORE else set())


@given(verdicts, rules, st.floats(0, 1e9))
def test_one_finding_never_leaves_normal_beyond_suspect(verdict, settings, now_s):
    assert after_verdict(PacsMode(), verdict, now_s, settings).mode in EVER_UP


@given(sequences, rules)
def test_no_proof_outlives_the_next_outage(sequence, settings):
    state, now_s = PacsMode(), 0.0
    for finding, passed_s in sequence:
        now_s += passed_s
        before, (state,) = state, follow(state, finding, start_s=now_s, settings=settings)
        if before.mode is not Mode.OUTAGE and state.mode is Mode.OUTAGE:
            assert state.proofs == frozenset()


def test_of_several_archives_the_one_worst_off_is_told():
    assert worst([]) is Mode.NORMAL
    assert worst([Mode.NORMAL, Mode.SUSPECT]) is Mode.SUSPECT
    assert worst([Mode.RECOVERING, Mode.SUSPECT]) is Mode.RECOVERING
    assert worst([Mode.RECOVERING, Mode.OUTAGE]) is Mode.OUTAGE


def test_a_drill_never_hides_an_outage():
    assert with_order(Mode.OUTAGE, Mode.DRILL) is Mode.OUTAGE
    assert with_order(Mode.NORMAL, Mode.DRILL) is Mode.DRILL
    assert with_order(Mode.NORMAL, Mode.OUTAGE) is Mode.OUTAGE
    assert with_order(Mode.RECOVERING, None) is Mode.RECOVERING
