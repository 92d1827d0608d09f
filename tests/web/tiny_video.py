"""A video a browser plays, made here: H.264 of uncompressed blocks (I_PCM) in an MP4 file."""

import struct
from collections.abc import Sequence

SIDE = 64
_BLOCKS = SIDE // 16
_TICKS = 1000


class Bits:
    """Writes the bit strings of H.264 (ISO/IEC 14496-10 clause 7.2)."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, width: int) -> "Bits":
        self.text += f"{value:0{width}b}"
        return self

    def ue(self, *values: int) -> "Bits":
        for value in values:
            code = f"{value + 1:b}"
            self.text += "0" * (len(code) - 1) + code
        return self

    def aligned(self) -> bytes:
        self.text += "0" * (-len(self.text) % 8)
        return int("1" + self.text, 2).to_bytes(len(self.text) // 8 + 1, "big")[1:]

    def ended(self) -> bytes:
        return self.put(1, 1).aligned()


def _escaped(unit: bytes) -> bytes:
    """Keep start codes out of a unit (clause 7.4.1)."""
    out = bytearray()
    zeros = 0
    for byte in unit:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _sequence_parameters() -> bytes:
    bits = Bits().ue(0, 0, 2, 1).put(0, 1).ue(_BLOCKS - 1, _BLOCKS - 1).put(0b1100, 4)
    return _escaped(b"\x67\x42\xc0\x1e" + bits.ended())


def _picture_parameters() -> bytes:
    bits = Bits().ue(0, 0).put(0, 2).ue(0, 0, 0).put(0, 3).ue(0, 0, 0).put(0, 3)
    return _escaped(b"\x68" + bits.ended())


def _picture(grey: int, number: int) -> bytes:
    head = Bits().ue(0, 7, 0).put(0, 4).ue(number % 2).put(0, 2).ue(0)
    unit = b"\x65" + head.ue(25).aligned()
    block = bytes([grey]) * 256 + bytes([128]) * 128
    between = Bits().ue(25).aligned()
    return _escaped(unit + between.join([block] * _BLOCKS**2) + b"\x80")


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def mp4(greys: Sequence[int], seconds_each: float = 0.5) -> bytes:
    """Return an MP4 file that shows one grey level after the other."""
    each = int(seconds_each * _TICKS)
    samples = [_picture(grey, number) for number, grey in enumerate(greys)]
    samples = [struct.pack(">I", len(one)) + one for one in samples]
    start = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    moov = _movie(samples, each, 0)
    moov = _movie(samples, each, len(start) + len(moov) + 8)
    return start + moov + _box(b"mdat", *samples)


def _movie(samples: Sequence[bytes], each: int, data_offset: int) -> bytes:
    length = each * len(samples)
    sps, pps = _sequence_parameters(), _picture_parameters()
    config = b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps
    config += b"\x01" + struct.pack(">H", len(pps)) + pps
    size = struct.pack(">HH", SIDE, SIDE)
    entry = _box(
        b"avc1", bytes(6), b"\x00\x01", bytes(16), size,
        struct.pack(">IIIH", 0x480000, 0x480000, 0, 1), bytes(32), b"\x00\x18\xff\xff",
        _box(b"avcC", config),
    )  # fmt: skip
    count = len(samples)
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), entry),
        _full(b"stts", struct.pack(">III", 1, count, each)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", struct.pack(f">II{count}I", 0, count, *map(len, samples))),
        _full(b"stco", struct.pack(">II", 1, data_offset)),
    )
    data = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    media = _box(
        b"mdia",
        _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, _TICKS, length, 0x55C4, 0)),
        _full(b"hdlr", bytes(4), b"vide", bytes(12), b"video\x00"),
        _box(b"minf", _full(b"vmhd", bytes(8), flags=1), data, table),
    )
    track = _full(
        b"tkhd", struct.pack(">IIIII", 0, 0, 1, 0, length), bytes(16), _MATRIX,
        struct.pack(">II", SIDE << 16, SIDE << 16), flags=3,
    )  # fmt: skip
    header = _full(
        b"mvhd", struct.pack(">IIII", 0, 0, _TICKS, length), b"\x00\x01\x00\x00\x01\x00",
        bytes(10), _MATRIX, bytes(24), struct.pack(">I", 2),
    )  # fmt: skip
    return _box(b"moov", header, _box(b"trak", track, media))
