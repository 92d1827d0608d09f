"""Decompressed objects hold exactly the pixels that were decoded, and say what they are."""

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from viewer.codecs import decode_frame
from viewer.decode import open_instance
from viewer.decompress import CagedDecoder, decompress, serve
from viewer.errors import UnsupportedPixels, UnsupportedTransferSyntax
from viewer.sandbox import DecodeLimits

FILES = {
    "RLE": "MR_small_RLE.dcm",
    "RLE, colour, several frames": "examples_ybr_color.dcm",
    "JPEG lossless": "JPEG-LL.dcm",
    "JPEG lossless, first order": "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "JPEG-LS": "MR_small_jpeg_ls_lossless.dcm",
    "JPEG 2000 lossless": "MR_small_jp2klossless.dcm",
    "JPEG 2000": "JPEG2000.dcm",
    "JPEG 2000, signs that contradict": "J2K_pixelrep_mismatch.dcm",
    "JPEG extended": "JPGExtended.dcm",
    "JPEG baseline, colour": "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG baseline, subsampled": "SC_rgb_dcmtk_+eb+cy+s2.dcm",
}
"""The DCMTK programs that decompress each, where there is one, are in `REFERENCES`."""
REFERENCES = {
    "RLE": ["dcmdrle"],
    "JPEG lossless": ["dcmdjpeg"],
    "JPEG lossless, first order": ["dcmdjpeg"],
    "JPEG-LS": ["dcmdjpls"],
    "JPEG baseline, colour": ["dcmdjpeg", "+cn"],
}


def source_of(name: str) -> Path:
    path = get_testdata_file(FILES[name], download=False)
    if path is None:
        pytest.skip(f"{FILES[name]} is not installed")
    return Path(path)


@pytest.mark.parametrize("form", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("name", FILES)
def test_every_stored_value_comes_out_as_it_was_decoded(tmp_path, name, form):
    source, target = source_of(name), tmp_path / "out.dcm"
    decompress(source, target, form)
    before, after = open_instance(source), open_instance(target)
    assert after.transfer_syntax_uid == form
    assert before.number_of_frames == after.number_of_frames
    for number in range(1, before.number_of_frames + 1):
        assert np.array_equal(before.stored_frame(number), after.stored_frame(number))


@pytest.mark.parametrize("name", REFERENCES)
def test_another_decoder_finds_the_same_pixels(tmp_path, require, name):
    source = source_of(name)
    program, *options = REFERENCES[name]
    theirs, ours = tmp_path / "theirs.dcm", tmp_path / "ours.dcm"
    command = [require(program), *options, str(source), str(theirs)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    decompress(source, ours)
    assert np.array_equal(dcmread(ours).pixel_array, dcmread(theirs).pixel_array)


@pytest.mark.parametrize("name", FILES)
def test_everything_but_the_pixels_stays_as_it_was(tmp_path, name):
    source, target = source_of(name), tmp_path / "out.dcm"
    decompress(source, target)
    before, after = dcmread(source), dcmread(target)
    told = {"PixelData", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"}
    told |= {"PhotometricInterpretation", "LossyImageCompression", "LossyImageCompressionMethod"}
    for element in before:
        if element.keyword not in told and element.tag.element != 0:
            assert after[element.tag] == element
    assert after.file_meta.MediaStorageSOPInstanceUID == before.file_meta.MediaStorageSOPInstanceUID


def test_what_lost_something_stays_marked(tmp_path):
    source, target = source_of("JPEG baseline, colour"), tmp_path / "out.dcm"
    unmarked = dcmread(source)
    if "LossyImageCompression" in unmarked:
        del unmarked.LossyImageCompression
    assert unmarked.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    unmarked.save_as(tmp_path / "in.dcm")
    decompress(tmp_path / "in.dcm", target)
    assert dcmread(target).LossyImageCompression == "01"
    decompress(source_of("JPEG-LS"), target)
    assert dcmread(target).get("LossyImageCompression") in (None, "00")


def test_what_cannot_be_done_without_loss_is_not_done(tmp_path):
    target = tmp_path / "out.dcm"
    with pytest.raises(UnsupportedTransferSyntax):
        decompress(Path(get_testdata_file("MR_small_bigendian.dcm")), target)
    with pytest.raises(UnsupportedTransferSyntax):
        decompress(source_of("RLE"), target, JPEGBaseline8Bit)
    assert not target.exists()


def test_a_damaged_picture_costs_no_other_and_leaves_nothing(tmp_path):
    good = source_of("JPEG-LS")
    content = bytearray(good.read_bytes())
    content[-3000:-100] = bytes(2900)
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(content)
    jobs = [(bad, tmp_path / "1.dcm"), (good, tmp_path / "2.dcm")]
    asked = "".join(
        json.dumps([str(a), str(b), ExplicitVRLittleEndian]) + "\n" for a, b in jobs
    ).encode()
    answers, decoder = io.BytesIO(), CagedDecoder(DecodeLimits())
    serve(io.BytesIO(asked), answers, decoder)
    decoder.close()
    words = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert words[0]
    assert words[1] == ""
    assert not (tmp_path / "1.dcm").exists()
    decoded = open_instance(good).stored_frame(1, decode_frame)
    assert np.array_equal(open_instance(tmp_path / "2.dcm").stored_frame(1), decoded)


def test_a_frame_that_would_take_too_much_is_refused(tmp_path):
    decoder = CagedDecoder(DecodeLimits(memory_bytes=8192))
    with pytest.raises(UnsupportedPixels, match="too large"):
        decompress(source_of("RLE"), tmp_path / "out.dcm", decoder=decoder)
