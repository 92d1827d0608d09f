"""Seeded damage to bytes: the same number always gives the same damage."""

import random
import struct
from collections.abc import Callable

EXTREMES = (0, 1, 2, 3, 0x7F, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
LARGEST_CHUNK = 64


def mutate(data: bytes, seed: int) -> bytes:
    """Damage bytes in one to four ways."""
    chance = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if damaged:
            chance.choice(KINDS)(damaged, chance)
    return bytes(damaged)


def _flip_bits(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _delete(data: bytearray, chance: random.Random) -> None:
    start, end = _chunk(data, chance)
    del data[start:end]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start, end = _chunk(data, chance)
    data[end:end] = data[start:end] * chance.randint(1, 8)


def _swap(data: bytearray, chance: random.Random) -> None:
    (first, end), (second, other_end) = sorted((_chunk(data, chance), _chunk(data, chance)))
    if end <= second:
        parts = data[second:other_end] + data[end:second] + data[first:end]
        data[first:other_end] = parts


def _insert(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = chance.randbytes(chance.randint(1, LARGEST_CHUNK))


def _set_number(data: bytearray, chance: random.Random) -> None:
    """Overwrite what may be a length, of 2 or 4 bytes, in either byte order."""
    form = chance.choice(("<H", ">H", "<L", ">L"))
    size = struct.calcsize(form)
    start = chance.randrange(len(data))
    value = struct.pack(form, chance.choice(EXTREMES) & (256**size - 1))
    data[start : start + size] = value[: len(data) - start]


def _chunk(data: bytearray, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, min(len(data), start + chance.randint(1, LARGEST_CHUNK))


KINDS: list[Callable[[bytearray, random.Random], None]] = [
    _flip_bits,
    _cut,
    _delete,
    _repeat,
    _swap,
    _insert,
    _set_number,
    _set_number,
]
