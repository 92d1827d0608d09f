"""A study leaves as a ZIP of the very files that were stored, and says what is not in it."""

import io
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from web.export import README_BYTES
from web.zip_stream import ZipWriter, zip_length

Make = Callable[..., FileDataset]
NOW = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)


@pytest.fixture
def study(keeper: Any, make_instance: Make) -> list[FileDataset]:
    """A study of two series, three instances."""
    shared = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    alone = make_instance(3, StudyInstanceUID=shared["StudyInstanceUID"])
    made = [make_instance(1, **shared), make_instance(2, **shared), alone]
    keeper.keep(*made, make_instance())
    return made


def opened(answer: Any) -> zipfile.ZipFile:
    assert answer.status_code == 200
    assert len(answer.data) == int(answer.headers["Content-Length"])
    found = zipfile.ZipFile(io.BytesIO(answer.data))
    assert found.testzip() is None
    return found


def stored_files(keeper: Any, *datasets: FileDataset) -> set[bytes]:
    uids = {str(one.SOPInstanceUID) for one in datasets}
    paths = keeper.data.glob("instances/**/*.dcm")
    return {path.read_bytes() for path in paths if path.stem.partition("~")[0] in uids}


def held_bytes(found: zipfile.ZipFile) -> set[bytes]:
    return {found.read(name) for name in found.namelist() if name.startswith("DICOM/")}


def test_a_study_leaves_as_the_files_that_were_stored(
    client: FlaskClient, keeper: Any, study: list[FileDataset]
) -> None:
    answer = client.get(f"/studies/{study[0].StudyInstanceUID}/export.zip")
    found = opened(answer)
    assert held_bytes(found) == stored_files(keeper, *study)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="lifeboat-study.zip"'
    readme = found.read("README.TXT").decode()
    assert "3 objects" in readme
    assert "Nothing was left out" in readme
    assert "PHANTOM" not in readme
    assert all("PH" not in name for name in found.namelist())


def test_a_series_leaves_alone(client: FlaskClient, keeper: Any, study: list[FileDataset]) -> None:
    one = study[0]
    found = opened(
        client.get(f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/export.zip")
    )
    assert held_bytes(found) == stored_files(keeper, *study[:2])


def test_both_versions_of_an_instance_leave(
    client: FlaskClient, keeper: Any, make_instance: Make
) -> None:
    first = make_instance()
    uids = {name: first[name].value for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    second = make_instance(2, SOPInstanceUID=first.SOPInstanceUID, **uids)
    keeper.keep(first, second)
    found = opened(client.get(f"/studies/{first.StudyInstanceUID}/export.zip"))
    assert len(held_bytes(found)) == 2
    assert "1 of them came with a UID" in found.read("README.TXT").decode()


def damage(keeper: Any, dataset: FileDataset, how: str) -> None:
    [path] = keeper.data.glob(f"instances/**/{dataset.SOPInstanceUID}.dcm")
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:-10])
    else:
        content[-10] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["gone", "cut", "changed"])
def test_a_damaged_file_is_named_and_the_others_leave(
    client: FlaskClient, keeper: Any, study: list[FileDataset], how: str
) -> None:
    damage(keeper, study[1], how)
    found = opened(client.get(f"/studies/{study[0].StudyInstanceUID}/export.zip"))
    assert held_bytes(found) == stored_files(keeper, study[0], study[2])
    readme = found.read("README.TXT").decode()
    assert "NOT COMPLETE: 1 object" in readme
    assert str(study[1].SOPInstanceUID) in readme
    assert "2 objects, each exactly as stored" in readme


def test_a_file_damaged_while_the_zip_is_made_is_replaced_by_words(
    client: FlaskClient, keeper: Any, study: list[FileDataset]
) -> None:
    damage(keeper, study[1], "changed")
    found = opened(client.get(f"/studies/{study[0].StudyInstanceUID}/export.zip"))
    [instead] = [name for name in found.namelist() if name.startswith("ERROR/")]
    assert b"is not in this ZIP" in found.read(instead)


def test_a_study_that_is_not_here_is_not_found(client: FlaskClient) -> None:
    assert client.get("/studies/1.2/export.zip").status_code == 404


def written(files: list[tuple[str, bytes]]) -> bytes:
    import zlib

    writer = ZipWriter(NOW)
    parts = [
        part
        for name, content in files
        for part in writer.entry(name, len(content), zlib.crc32(content), (content,))
    ]
    return b"".join([*parts, *writer.end()])


@pytest.mark.parametrize("count", [0, 1, 3, 65_536])
def test_the_length_is_known_beforehand(count: int) -> None:
    files = [(f"DICOM/{n:06d}", b"x" * (n % 5)) for n in range(count)]
    content = written(files)
    assert len(content) == zip_length((name, len(body)) for name, body in files)
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        assert len(found.namelist()) == count
        if count:
            assert found.read(files[-1][0]) == files[-1][1]


def test_unzip_takes_it(require: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "made.zip"
    path.write_bytes(written([("DICOM/A", b"one"), ("README.TXT", b"two")]))
    result = subprocess.run([require("unzip"), "-t", str(path)], capture_output=True, check=False)
    assert result.returncode == 0, result.stdout


def test_places_beyond_four_gigabytes_are_found_again(tmp_path: Path) -> None:
    """A sparse file stands for the content; only what is around it is written."""
    size = 2**32 + 10
    path = tmp_path / "large.zip"
    writer = ZipWriter(NOW)
    with path.open("wb") as file:
        head = next(writer.entry("LARGE", size, 0, ()))
        file.write(head)
        file.seek(size, io.SEEK_CUR)
        writer._entries.append(_entry(b"LARGE", size, 0))
        writer._offset = len(head) + size
        for part in [*writer.entry("SMALL", 3, 0x352441C2, (b"abc",)), *writer.end()]:
            file.write(part)
        assert file.tell() == zip_length([("LARGE", size), ("SMALL", 3)])
    with zipfile.ZipFile(path) as found:
        assert found.getinfo("LARGE").file_size == size
        assert found.read("SMALL") == b"abc"


def _entry(name: bytes, size: int, offset: int) -> Any:
    from web.zip_stream import _Written

    return _Written(name, size, 0, offset)


def test_content_of_another_length_ends_the_zip() -> None:
    with pytest.raises(OSError, match="changed"):
        list(ZipWriter(NOW).entry("A", 5, 0, (b"abc",)))


def test_a_large_study_needs_no_more_memory_than_a_small_one(
    keeper: Any, make_instance: Make, app: Any
) -> None:
    from web.export import planned_export, zipped

    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    keeper.keep(*(make_instance(n, **uids, PixelData=bytes(16_000_000)) for n in range(4)))
    context = app.extensions["lifeboat"]
    planned = planned_export(context.index.instances(uids["StudyInstanceUID"]))
    tracemalloc.start()
    total = sum(len(part) for part in zipped(planned, context, NOW))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == planned.length > 64_000_000 + README_BYTES
    assert peak < 4_000_000
