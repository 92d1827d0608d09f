"""What people set on images is kept, for one study and once; nothing else gets in."""

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from web import mark_store, marks
from web.app import create_app
from web.context import EXTENSION
from web.errors import BadParameter, ChangedMeanwhile
from web.mark_store import Mark, MarkStore

Send = Callable[..., Any]
DIGEST = "0123456789abcdef" * 4


def body(dataset: FileDataset, **changes: Any) -> dict[str, Any]:
    """Return a length on an image, as the viewer sends it."""
    return {
        "mark_id": secrets.token_hex(16),
        "revision": 0,
        "series_instance_uid": dataset.SeriesInstanceUID,
        "sop_instance_uid": dataset.SOPInstanceUID,
        "frame_number": 1,
        "digest": DIGEST,
        "kind": "length",
        "points": [[1.5, 2], [30, 40.25]],
        "text": "",
    } | changes


@pytest.fixture
def send(client: FlaskClient, held: FileDataset) -> Send:
    def ask(content: Any, path: str = "", status: int = 200, **options: Any) -> Any:
        url = f"/api/v1/studies/{held.StudyInstanceUID}/marks{path}"
        answer = client.post(url, json=content, **options)
        assert answer.status_code == status, answer.json
        return answer.json

    return ask


def listed(client: FlaskClient, held: FileDataset) -> Any:
    answer = client.get(f"/api/v1/studies/{held.StudyInstanceUID}/marks")
    assert answer.status_code == 200
    return answer.json


def test_a_mark_is_kept_as_it_was_set(client: FlaskClient, held: FileDataset, send: Send) -> None:
    assert listed(client, held) == {"revision": 0, "marks": []}
    sent = body(held, text="Fracture?")
    stored = send(sent)["mark"]
    assert stored | {"changed_at": "", "revision": 0} == sent | {"changed_at": ""}
    assert stored["revision"] == 1
    assert listed(client, held) == {"revision": 1, "marks": [stored]}


def test_every_kind_is_kept(client: FlaskClient, held: FileDataset, send: Send) -> None:
    for kind, count in marks.NUMBER_OF_POINTS.items():
        send(body(held, kind=kind, points=[[number, 0.5] for number in range(count)]))
    kinds = [mark["kind"] for mark in listed(client, held)["marks"]]
    assert kinds == list(marks.NUMBER_OF_POINTS)


def test_marks_outlive_the_process(settings: Any, held: FileDataset, send: Send) -> None:
    stored = send(body(held))["mark"]
    with closing(create_app(settings).extensions[EXTENSION]) as context:
        [mark] = context.marks.of_study("", held.StudyInstanceUID).marks
        assert mark.mark_id == stored["mark_id"]
        assert context.marks.of_study("somebody", held.StudyInstanceUID).marks == ()


def test_a_change_made_from_an_old_state_is_refused_and_changes_nothing(
    client: FlaskClient, held: FileDataset, send: Send
) -> None:
    first = send(body(held))["mark"]
    fields = {name: first[name] for name in body(held)}
    second = send(fields | {"points": [[0, 0], [9, 9]]})["mark"]
    assert second["revision"] == 2
    refused = send(fields | {"points": [[5, 5], [6, 6]]}, status=409)
    assert refused["error"]["code"] == "changed-meanwhile"
    stale = {"mark_id": first["mark_id"], "revision": 1}
    assert send(stale, "/delete", status=409)["error"]["code"] == "changed-meanwhile"
    send(fields | {"revision": 0}, status=409)
    assert listed(client, held) == {"revision": 2, "marks": [second]}


def test_a_mark_that_was_deleted_is_not_brought_back_by_an_old_window(
    client: FlaskClient, held: FileDataset, send: Send
) -> None:
    mark = send(body(held))["mark"]
    send({"mark_id": mark["mark_id"], "revision": 1}, "/delete")
    assert listed(client, held) == {"revision": 2, "marks": []}
    fields = {name: mark[name] for name in body(held)}
    send(fields, status=409)
    back = send(fields | {"revision": 0})["mark"]
    assert back["revision"] == 3, "revisions never repeat, so no old window can match"
    send(fields, status=409)


def test_of_many_windows_that_change_one_mark_at_once_one_wins(tmp_path: Path) -> None:
    mark = Mark("a" * 32, "1.2", "1.2.3", 1, DIGEST, "length", ((0.0, 0.0), (1.0, 1.0)))

    def change(text: str) -> str:
        try:
            return store.save("", "1", replace(first, text=text), "now").text
        except ChangedMeanwhile:
            return ""

    with closing(MarkStore(tmp_path)) as store:
        first = store.save("", "1", mark, "now")
        with ThreadPoolExecutor(8) as pool:
            won = [text for text in pool.map(change, map(str, range(16))) if text]
        assert len(won) == 1
        assert store.of_study("", "1").marks[0].text == won[0]
        assert store.of_study("", "1").revision == 2, "a refused change counts for nothing"


def test_a_study_has_room_for_so_many_marks_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_store, "MOST_MARKS", 20)
    with closing(MarkStore(tmp_path)) as store:
        for number in range(20):
            last = store.save(
                "", "1", Mark(f"{number:032x}", "1.2", "1.2.3", 1, DIGEST, "key", ()), "now"
            )
        one_more = replace(last, mark_id="f" * 32, revision=0)
        with pytest.raises(BadParameter, match="at most"):
            store.save("", "1", one_more, "now")
        store.save("", "1", replace(last, text="changed"), "now")
        store.save("", "2", one_more, "now")
        assert len(store.of_study("", "1").marks) == 20


def test_what_the_viewer_has_is_not_sent_again(
    client: FlaskClient, held: FileDataset, send: Send
) -> None:
    url = f"/api/v1/studies/{held.StudyInstanceUID}/marks"
    tag = client.get(url).headers["ETag"]
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    send(body(held))
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"mark_id": "x" * 32},
        {"mark_id": "a" * 33},
        {"revision": -1},
        {"revision": True},
        {"kind": "volume"},
        {"points": [[1, 2]]},
        {"points": [[1, 2], [3, 4], [5, 6]]},
        {"points": [[1, 2], [3]]},
        {"points": [[1, 2], [3, "4"]]},
        {"points": [[1, 2], [3, True]]},
        {"points": [[1, 2], [3, 1e9]]},
        {"points": [[1, 2], [3, 10**400]]},
        {"points": [[1, 2], [3, float("nan")]]},
        {"points": [[1, 2], [3, float("-inf")]]},
        {"points": {"0": [1, 2]}},
        {"text": "a" * 201},
        {"text": "line\nbreak"},
        {"text": "\ud800"},
        {"text": None},
        {"frame_number": 0},
        {"frame_number": 1.0},
        {"frame_number": 2**31},
        {"digest": "<script>"},
        {"sop_instance_uid": "../../etc"},
        {"patient_name": "SOMEONE"},
    ],
    ids=lambda changes: f"{next(iter(changes))} {len(str(changes))}",
)
def test_what_is_no_mark_is_refused(
    client: FlaskClient, held: FileDataset, send: Send, changes: dict[str, Any]
) -> None:
    assert send(body(held, **changes), status=400)["error"]["code"] == "bad-parameter"
    assert listed(client, held) == {"revision": 0, "marks": []}


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([*sorted(marks._FIELDS), "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=5),
            max_leaves=12,
        ),
    )
)
def test_no_body_whatever_is_a_fault_of_the_node(
    client: FlaskClient, held: FileDataset, changes: dict[str, Any]
) -> None:
    url = f"/api/v1/studies/{held.StudyInstanceUID}/marks"
    for content in (changes, body(held) | changes):
        answer = client.post(url, data=json.dumps(content), content_type="application/json")
        assert answer.status_code in (200, 400, 404, 409)


def test_marks_are_only_for_images_that_are_held(send: Send, held: FileDataset) -> None:
    send(body(held, sop_instance_uid="1.2.3"), status=404)
    send(body(held, series_instance_uid="1.2.3"), status=404)
    send(body(held, frame_number=2), status=404)


def test_marks_of_an_unknown_study_are_not_found(client: FlaskClient, held: FileDataset) -> None:
    assert client.get("/api/v1/studies/1.2.3/marks").status_code == 404
    assert client.post("/api/v1/studies/1.2.3/marks", json=body(held)).status_code == 404


def test_pages_of_other_sites_set_no_marks(
    client: FlaskClient, held: FileDataset, send: Send
) -> None:
    send(body(held), status=403, headers={"Origin": "http://elsewhere.example"})
    send(body(held), status=403, headers={"Sec-Fetch-Site": "cross-site"})
    url = f"/api/v1/studies/{held.StudyInstanceUID}/marks"
    # the only bodies a form of another site can send without being asked about first
    for mimetype in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.post(url, data=json.dumps(body(held)), content_type=mimetype)
        assert answer.status_code == 415
    assert listed(client, held)["marks"] == []


def test_where_measuring_is_off_only_notes_and_key_images_are_left(
    settings: Any, held: FileDataset, send: Send
) -> None:
    length = send(body(held))["mark"]
    send(body(held, kind="key", points=[]))
    off = replace(settings, web=replace(settings.web, measurements=False))
    app = create_app(off)
    with closing(app.extensions[EXTENSION]):
        client = app.test_client()
        url = f"/api/v1/studies/{held.StudyInstanceUID}/marks"
        assert [mark["kind"] for mark in listed(client, held)["marks"]] == ["key"]
        refused = client.post(url, json=body(held))
        assert refused.status_code == 403
        assert refused.json["error"]["code"] == "measuring-off"
        assert "switched off" in refused.json["error"]["message"]
        gone = {"mark_id": length["mark_id"], "revision": 1}
        assert client.post(f"{url}/delete", json=gone).status_code == 403
        assert client.post(url, json=body(held, kind="arrow")).status_code == 200
    with closing(MarkStore(settings.node.data)) as store:
        assert len(store.of_study("", held.StudyInstanceUID).marks) == 3, "none was lost"
