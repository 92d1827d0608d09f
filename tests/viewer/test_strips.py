"""Large pictures made in strips by several threads are the pictures made at once."""

import io
import struct
import subprocess
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser

from viewer.decode import open_instance
from viewer.errors import UnsupportedPixels
from viewer.grey_levels import window_to_uint8
from viewer.jpeg import encode_jpeg
from viewer.picture import DrawnLater
from viewer.png import encode_png
from viewer.render import grey_frame, render_frame
from viewer.resize import resized
from viewer.strips import ALONE, ROW_MULTIPLE, StripThreads, strips_of
from viewer.windowing import ModalityLut, Window

DEADLINE_S = 30.0
COMPARE = """async texts => {
  const drawn = await Promise.all(texts.map(async text => {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height);
  }));
  const [one, other] = drawn.map(picture => picture.data);
  return {
    sizes: drawn.map(picture => [picture.width, picture.height]),
    different: one.reduce((sum, level, place) => sum + (level !== other[place]), 0),
    levels: new Set(one.filter((_, place) => place % 4 === 0)).size,
  };
}"""
"""What a browser draws of two JPEGs: their sizes, and how many levels differ."""
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def threads() -> Any:
    made = StripThreads(3)
    yield made
    made.close()


def picture(*shape: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(sum(shape))
    slow = np.linspace(0, 200, shape[0])[:, np.newaxis] + np.linspace(0, 30, shape[1])
    noise = rng.integers(0, 25, shape, np.uint8)
    return (slow.reshape(*slow.shape, *(1,) * (len(shape) - 2)) + noise).astype(np.uint8)


def decoded(encoded: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(encoded)))


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(png):
        size, name = struct.unpack_from(">L4s", png, place)
        yield name, png[place + 8 : place + 8 + size]
        place += 12 + size


@pytest.mark.parametrize(
    ("rows", "columns"),
    [(1, 1), (512, 512), (3000, 2500), (4096, 3328), (17, 65_500), (65_500, 17)],
)
def test_strips_cover_every_row_once_and_end_where_blocks_of_a_jpeg_do(
    rows: int, columns: int
) -> None:
    strips = strips_of(rows, columns)

    assert [row for strip in strips for row in range(rows)[strip]] == list(range(rows))
    assert len({strip.stop - strip.start for strip in strips[:-1]}) <= 1
    assert all(strip.stop % ROW_MULTIPLE == 0 for strip in strips[:-1])


LARGE = [(2300, 1501), (1700, 1101, 3)]


@pytest.mark.parametrize("shape", LARGE)
def test_a_jpeg_of_strips_is_what_the_library_writes_with_restart_markers(
    shape: tuple[int, ...], threads: StripThreads
) -> None:
    pixels = picture(*shape)
    strips = strips_of(*shape[:2])
    interval = -(-shape[1] // 8) * strips[0].stop // 8
    whole, plain = io.BytesIO(), io.BytesIO()
    how: dict[str, Any] = {"quality": 90, "subsampling": 0}
    Image.fromarray(pixels).save(whole, "JPEG", restart_marker_blocks=interval, **how)
    Image.fromarray(pixels).save(plain, "JPEG", **how)

    made = encode_jpeg(pixels, 90, threads)

    assert len(strips) > 1
    assert made == whole.getvalue()
    assert np.array_equal(decoded(made), decoded(plain.getvalue()))


@pytest.mark.parametrize("shape", LARGE)
def test_a_png_of_strips_holds_every_pixel(shape: tuple[int, ...], threads: StripThreads) -> None:
    pixels = picture(*shape)

    encoded = encode_png(pixels, threads)

    assert np.array_equal(decoded(encoded), pixels)
    stream = b"".join(data for name, data in chunks(encoded) if name == b"IDAT")
    assert len(zlib.decompress(stream)) == pixels.size + shape[0]  # its checksum is right, too


@pytest.mark.parametrize("make", [encode_png, lambda pixels, who: encode_jpeg(pixels, 80, who)])
def test_the_bytes_do_not_depend_on_who_helped(
    make: Callable[[Any, StripThreads], bytes], threads: StripThreads
) -> None:
    pixels = picture(2300, 1501)

    assert make(pixels, threads) == make(pixels, ALONE)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((3000, 2500), (1067, 1280)),
        ((2001, 1501), (960, 1280)),
        ((1203, 1701, 3), (501, 354)),
        ((1500, 1100), (1300, 1773)),
        ((2000, 3000), (150, 100)),
    ],
)
def test_a_resized_picture_does_not_depend_on_who_helped(
    shape: tuple[int, ...], size: tuple[int, int], threads: StripThreads
) -> None:
    pixels = picture(*shape)
    drawn_later = DrawnLater(shape[:2], lambda rows, drawn: np.copyto(drawn, pixels[rows]))

    alone = resized(pixels, size, ALONE)

    assert alone.shape[:2] == (size[1], size[0])
    assert np.array_equal(resized(pixels, size, threads), alone)
    if pixels.ndim == 2:
        assert np.array_equal(resized(drawn_later, size, threads), alone)


def stored_pixels() -> NDArray[np.uint16]:
    rng = np.random.default_rng(5)
    return rng.integers(0, 4096, (1300, 1700)).astype(np.uint16)


def test_a_frame_read_in_strips_is_the_frame(write: Write, threads: StripThreads) -> None:
    stored = stored_pixels()
    stored[700, 5] |= 0x8000  # an unused bit, in one strip alone
    instance = replace(open_instance(write(stored, BitsStored=12, HighBit=11)), threads=threads)

    shown = grey_frame(instance, 1, Window(2000, 3000))

    expected = window_to_uint8(stored & 0x0FFF, ModalityLut(), Window(2000, 3000))
    assert np.array_equal(shown, expected)
    assert np.array_equal(
        decoded(render_frame(instance, 1, media_type="image/png")).shape, (1300, 1700)
    )


def test_a_frame_cut_off_in_its_last_strip_is_refused(write: Write, threads: StripThreads) -> None:
    path = write(stored_pixels())
    instance = replace(open_instance(path), threads=threads)
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(UnsupportedPixels, match="incomplete"):
        render_frame(instance, 1, window=Window(2000, 3000))


@pytest.mark.peer
def test_another_decoder_reads_the_same_levels(tmp_path: Path, threads: StripThreads) -> None:
    pixels = picture(2300, 1501)
    strips, whole = tmp_path / "strips.jpg", tmp_path / "whole.jpg"
    strips.write_bytes(encode_jpeg(pixels, 90, threads))
    Image.fromarray(pixels).save(whole, "JPEG", quality=90)
    read = []
    for path in (strips, whole):
        made = path.with_suffix(".dcm")
        subprocess.run(["img2dcm", "--no-checks", path, made], check=True, timeout=DEADLINE_S)
        subprocess.run(["dcmj2pnm", made, path.with_suffix(".pgm")], check=True, timeout=DEADLINE_S)
        read.append(np.asarray(Image.open(path.with_suffix(".pgm"))))

    assert read[0].shape == pixels.shape
    assert np.array_equal(read[0], read[1])


@pytest.mark.browser
def test_a_browser_draws_the_same_levels(browser: Browser, threads: StripThreads) -> None:
    pixels = picture(2300, 1501)
    whole = io.BytesIO()
    Image.fromarray(pixels).save(whole, "JPEG", quality=90)
    pictures = [encode_jpeg(pixels, 90, threads), whole.getvalue()]
    page = browser.new_page()
    try:
        found = page.evaluate(COMPARE, [b64encode(one).decode() for one in pictures])
    finally:
        page.close()

    assert found == {
        "sizes": [[1501, 2300]] * 2,
        "different": 0,
        "levels": len(np.unique(decoded(pictures[0]))),
    }


def test_results_are_in_the_order_of_the_parts(threads: StripThreads) -> None:
    assert threads.each(lambda n: n * n, range(100)) == [n * n for n in range(100)]


def test_helpers_work_at_the_same_time(threads: StripThreads) -> None:
    together = threading.Barrier(3)

    threads.each(lambda _: together.wait(DEADLINE_S), range(3))  # raises where fewer come


def test_a_caller_gets_no_helper_for_a_processor_that_is_busy(threads: StripThreads) -> None:
    working, done, pair = threading.Barrier(3), threading.Event(), threading.Barrier(2)

    def hold(_: int) -> None:
        working.wait(DEADLINE_S)
        done.wait(DEADLINE_S)

    def is_one_of_two(_: int) -> bool:
        try:
            pair.wait(0.2)
        except threading.BrokenBarrierError:
            return False
        return True

    first = threading.Thread(target=threads.each, args=(hold, range(2)))
    first.start()
    working.wait(DEADLINE_S)  # two of three processors, so that one of two helpers is free
    found = threads.each(is_one_of_two, range(2))
    done.set()
    first.join(DEADLINE_S)

    assert found == [False, False]


@pytest.mark.parametrize("who", [ALONE, None])
def test_an_error_is_raised_when_nobody_works_any_more(
    who: StripThreads | None, threads: StripThreads
) -> None:
    working = set()

    def fail(part: int) -> None:
        working.add(part)
        if part == 7:
            raise ValueError("part")
        working.discard(part)

    with pytest.raises(ValueError, match="part"):
        (who or threads).each(fail, range(50))

    assert working == {7}
    assert (who or threads).each(str, [1, 2]) == ["1", "2"]
