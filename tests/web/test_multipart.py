from email import message_from_bytes
from pathlib import Path

from web.multipart import CHUNK_BYTES, Part, file_chunks, total_bytes, written


def test_parts_are_read_back_by_the_mime_rules(tmp_path: Path) -> None:
    file = tmp_path / "bytes"
    file.write_bytes(bytes(range(256)) * 5000)
    parts = [
        Part("application/octet-stream", "http://node/1", (b"one", b"two"), 6),
        Part("application/dicom", "http://node/2", file_chunks(file), file.stat().st_size),
    ]
    body = b"".join(written(parts, "frontier"))
    head = b'Content-Type: multipart/related; boundary="frontier"\r\n\r\n'
    assert len(body) == total_bytes(parts, "frontier")
    first, second = message_from_bytes(head + body).get_payload()
    assert first.get_payload(decode=True) == b"onetwo"
    assert first["Content-Location"] == "http://node/1"
    assert second.get_payload(decode=True) == file.read_bytes()


def test_a_part_of_unknown_size_makes_the_whole_unknown() -> None:
    assert total_bytes([Part("text/plain", "", (b"x",))], "frontier") is None


def test_a_file_is_never_held_whole(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(3 * CHUNK_BYTES))
    assert max(len(chunk) for chunk in file_chunks(file)) == CHUNK_BYTES


def test_each_part_is_asked_for_when_the_one_before_is_written() -> None:
    asked: list[int] = []

    def parts():
        for number in range(3):
            asked.append(number)
            yield Part("text/plain", "", (b"x",))

    stream = written(parts(), "frontier")
    next(stream)
    assert asked == [0]
