"""Waveforms have the values, units and times the file says, or are refused in words."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from viewer.errors import UnsupportedDocument
from viewer.header import read_file_header
from viewer.waveform_trace import MM_PER_SECOND, PAGE_S, UNITS_PER_MM, trace_of
from viewer.waveforms import annotations_of, waveforms_of


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def channel(unit: str = "mV", sensitivity: float | None = 0.001, **elements: Any) -> Dataset:
    ds = item(ChannelSourceSequence=[item(CodeMeaning="Lead II")], **elements)
    if sensitivity is not None:
        ds.ChannelSensitivity = sensitivity
        ds.ChannelSensitivityCorrectionFactor = 1
        ds.ChannelBaseline = elements.get("ChannelBaseline", 0)
        ds.ChannelSensitivityUnitsSequence = [item(CodeValue=unit)]
    return ds


def waveform(samples: np.ndarray[Any, Any], *channels: Dataset, **elements: Any) -> Dataset:
    """Return an object of one multiplex group of 16 bit samples at 500 Hz."""
    stored = np.asarray(samples, "<i2").reshape(len(samples), -1)
    group = item(
        NumberOfWaveformChannels=stored.shape[1],
        NumberOfWaveformSamples=len(stored),
        SamplingFrequency=500,
        ChannelDefinitionSequence=list(channels) or [channel()],
        WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
        WaveformData=stored.tobytes(),
    )
    for keyword, value in elements.items():
        setattr(group, keyword, value)
    return item(WaveformSequence=[group])


def path_points(path: str) -> np.ndarray[Any, Any]:
    pairs = re.findall(r"[ML](-?\d+) (-?\d+)", path)
    return np.array(pairs, float) / UNITS_PER_MM


def test_a_real_ecg_has_the_values_pydicom_reads(testdata: Callable[[str], Path]) -> None:
    path = testdata("waveform_ecg.dcm")
    header = read_file_header(path)
    groups = waveforms_of(header.dataset, header.transfer_syntax_uid)
    expected = pydicom.dcmread(path)
    assert [group.label for group in groups] == ["RHYTHM", "MEDIAN BEAT"]
    for index, group in enumerate(groups):
        microvolts = expected.waveform_array(index)
        for number, about in enumerate(group.channels):
            assert about.unit == "mV"
            np.testing.assert_allclose(group.values(number) * 1000, microvolts[:, number])
    assert groups[0].channels[1].label == "Lead II"
    assert groups[0].duration_s == 10
    assert ("QT Interval", "368", "ms") in [
        (one.name, one.value, one.unit) for one in annotations_of(header.dataset)
    ]


def test_one_millivolt_is_ten_millimetres_and_one_second_twenty_five() -> None:
    samples = np.zeros(1000)
    samples[250] = 1000  # 1 mV, half a second after the start
    [group] = waveforms_of(waveform(samples), ExplicitVRLittleEndian)
    [strip] = trace_of(group).strips
    points = path_points(strip.path)
    peak = points[np.argmin(points[:, 1])]
    assert strip.gain == "10 mm/mV"
    assert strip.zero_mm is not None
    assert strip.zero_mm - peak[1] == pytest.approx(10, abs=0.01)
    assert peak[0] == pytest.approx(0.5 * MM_PER_SECOND, abs=0.05)


@pytest.mark.parametrize(("unit", "sensitivity"), [("uV", 1.0), ("V", 1e-6), ("mV", 0.001)])
def test_volts_of_every_size_are_drawn_alike(unit: str, sensitivity: float) -> None:
    made = waveform(np.array([0, 500, 1000, 0]), channel(unit, sensitivity))
    [group] = waveforms_of(made, ExplicitVRLittleEndian)
    np.testing.assert_allclose(group.values(0), [0, 0.5, 1, 0])


def test_sensitivity_correction_and_baseline_are_applied() -> None:
    about = channel("mm[Hg]", 0.5, ChannelBaseline=-10)
    about.ChannelSensitivityCorrectionFactor = 2
    [group] = waveforms_of(waveform(np.array([0, 100]), about), ExplicitVRLittleEndian)
    np.testing.assert_allclose(group.values(0), [-10, 90])
    [strip] = trace_of(group).strips
    assert strip.gain == "1 mm = 5 mm[Hg]"
    assert strip.pulse_mm is None


def test_a_high_wave_gets_a_smaller_gain_and_says_so() -> None:
    [group] = waveforms_of(waveform(np.array([0, 20_000, 0])), ExplicitVRLittleEndian)
    [strip] = trace_of(group).strips
    assert strip.gain == "2 mm/mV"
    assert strip.height_mm <= 50


def test_no_peak_is_lost_when_samples_are_drawn_together() -> None:
    samples = np.zeros(20_000)
    samples[7_777] = 1500
    made = waveform(samples, SamplingFrequency=10_000)
    [group] = waveforms_of(made, ExplicitVRLittleEndian)
    [strip] = trace_of(group).strips
    points = path_points(strip.path)
    assert len(points) < 2500
    assert strip.zero_mm is not None
    assert strip.zero_mm - points[:, 1].min() == pytest.approx(15, abs=0.01)


def test_padding_is_a_gap_and_not_a_value() -> None:
    samples = np.array([0, 100, -32768, -32768, 100, 0])
    made = waveform(samples, WaveformPaddingValue=np.array([-32768], "<i2").tobytes())
    [group] = waveforms_of(made, ExplicitVRLittleEndian)
    [strip] = trace_of(group).strips
    assert strip.path.count("M") == 2
    assert "gaps" in strip.note


def test_values_without_sensitivity_are_marked() -> None:
    made = waveform(np.array([1, 2]), channel(sensitivity=None))
    [group] = waveforms_of(made, ExplicitVRLittleEndian)
    [strip] = trace_of(group).strips
    assert strip.unit == ""
    assert "values as stored" in strip.note


def test_big_endian_samples_are_read_in_their_order() -> None:
    made = waveform(np.array([1, 2]), WaveformData=np.array([1, 2], ">i2").tobytes())
    [group] = waveforms_of(made, ExplicitVRBigEndian)
    np.testing.assert_allclose(group.values(0), [0.001, 0.002])


def test_a_long_recording_is_drawn_page_by_page() -> None:
    [group] = waveforms_of(waveform(np.arange(12_500) % 100), ExplicitVRLittleEndian)
    first, last = trace_of(group), trace_of(group, 2 * PAGE_S)
    assert (first.seconds, last.seconds) == (10, 5)
    assert path_points(last.strips[0].path)[:, 0].max() == pytest.approx(125, abs=0.1)


@pytest.mark.parametrize(
    "damage",
    [
        {"NumberOfWaveformSamples": 2**31 - 1},
        {"NumberOfWaveformSamples": 0},
        {"NumberOfWaveformChannels": 65_535},
        {"NumberOfWaveformChannels": 0},
        {"WaveformData": b""},
        {"WaveformData": b"\x00\x00"},
        {"WaveformSampleInterpretation": "MB"},
        {"WaveformBitsAllocated": 8},
        {"SamplingFrequency": 0},
        {"SamplingFrequency": -5},
        {"ChannelDefinitionSequence": []},
    ],
    ids=str,
)
def test_a_waveform_that_contradicts_itself_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedDocument):
        waveforms_of(waveform(np.zeros(100), **damage), ExplicitVRLittleEndian)


def test_an_object_without_waveform_is_refused() -> None:
    with pytest.raises(UnsupportedDocument):
        waveforms_of(Dataset(), ExplicitVRLittleEndian)


@pytest.mark.parametrize("level", [-30_000, 30_000])
def test_a_wave_far_from_zero_keeps_its_gain(level: int) -> None:
    [group] = waveforms_of(waveform(level + np.arange(1000)), ExplicitVRLittleEndian)
    [strip] = trace_of(group).strips
    assert strip.gain == "10 mm/mV"
    assert strip.height_mm <= 50
    assert "zero lies outside" in strip.note


@pytest.mark.parametrize(
    "elements",
    [
        {"ChannelSensitivity": 1e308},
        {"ChannelSensitivity": 1e-320},
        {"ChannelBaseline": 1e308},
        {"ChannelTimeSkew": 1e300},
        {"ChannelTimeSkew": -1e300},
    ],
    ids=str,
)
@pytest.mark.parametrize("frequency", [1e-300, 500, 1e300])
def test_absurd_numbers_still_draw(elements: dict[str, float], frequency: float) -> None:
    about = channel()
    for keyword, value in elements.items():
        setattr(about, keyword, value)
    made = waveform(np.array([-32768, 0, 32767]), about, SamplingFrequency=frequency)
    [group] = waveforms_of(made, ExplicitVRLittleEndian)
    [strip] = trace_of(group).strips
    assert 0 < strip.height_mm <= 60
