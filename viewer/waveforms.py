"""Waveforms: ECG, haemodynamic and other recordings as physical values with their units."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from viewer.errors import UnsupportedDocument
from viewer.graphic_annotations import lines
from viewer.header import integer, items, number, text, value_of

MAX_GROUPS: Final = 32
"""Multiplex groups beyond so many are left out."""

MAX_CHANNELS: Final = 256
"""A multiplex group of more channels is refused."""

MAX_ANNOTATIONS: Final = 500
"""Annotations beyond so many are left out."""

_DTYPES: Final = {
    "SB": "i1",
    "UB": "u1",
    "SS": "i2",
    "US": "u2",
    "SL": "i4",
    "UL": "u4",
    "SV": "i8",
    "UV": "u8",
}
"""Waveform Sample Interpretation (5400,1006); A-law and mu-law sound is not drawn."""

_MILLIVOLTS: Final = {"V": 1000.0, "mV": 1.0, "uV": 0.001, "nV": 0.000001}
"""Electric units of UCUM in mV, the unit an ECG is read in."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a multiplex group (PS3.3 C.10.9.1.4).

    Parameters
    ----------
    label : str
        What is recorded, for example `Lead II`.
    unit : str
        UCUM, electric ones always `mV`; '' when the values have no known unit.
    is_calibrated : bool
        False when Channel Sensitivity (003A,0210) is absent: values are then as stored.
    time_skew_s : float
        How much later than the group's first sample this channel's is.
    filters : str
        Low, high and notch filter in words, '' when none is told.
    scale, offset : float
        From stored values to `unit`.
    """

    label: str
    unit: str
    is_calibrated: bool
    time_skew_s: float
    filters: str
    scale: float
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class MultiplexGroup:
    """Channels recorded together (5400,0100).

    Parameters
    ----------
    label : str
        (003A,0020), '' when absent.
    originality : str
        `ORIGINAL` or `DERIVED` (003A,0004).
    sampling_frequency : float
        In Hz.
    time_offset_s : float
        From the start of the acquisition (0018,1068).
    channels : tuple of Channel
        In the order of the samples.
    samples : numpy.ndarray
        Stored values, samples by channels.
    padding : int or None
        The stored value that stands for "nothing recorded" (5400,100A).
    """

    label: str
    originality: str
    sampling_frequency: float
    time_offset_s: float
    channels: tuple[Channel, ...]
    samples: NDArray[Any]
    padding: int | None

    @property
    def number_of_samples(self) -> int:
        """Samples of each channel."""
        return int(self.samples.shape[0])

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return self.number_of_samples / self.sampling_frequency

    def values(self, channel: int, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Return a channel's values in its unit; NaN where nothing was recorded.

        Parameters
        ----------
        channel : int
            0-based.
        start, stop : int, optional
            Range of samples.

        Returns
        -------
        numpy.ndarray
        """
        about = self.channels[channel]
        stored = self.samples[start:stop, channel]
        values = stored.astype(np.float64) * about.scale + about.offset
        if self.padding is not None:
            values[stored == self.padding] = np.nan
        return values


def waveforms_of(header: Dataset, transfer_syntax_uid: str) -> tuple[MultiplexGroup, ...]:
    """Read the waveforms of an object.

    Parameters
    ----------
    header : pydicom.Dataset
        Of a waveform object.
    transfer_syntax_uid : str
        (0002,0010); tells the order of bytes.

    Returns
    -------
    tuple of MultiplexGroup

    Raises
    ------
    UnsupportedDocument
        There is none, or one contradicts itself, is cut off, or is sound.

    Notes
    -----
    PS3.3 C.10.9. Numbers from the header are compared with the bytes that are there before
    anything is made of them.
    """
    order = ">" if transfer_syntax_uid == ExplicitVRBigEndian else "<"
    found = tuple(_group(item, order) for item in items(header, "WaveformSequence")[:MAX_GROUPS])
    if not found:
        raise UnsupportedDocument("This object holds no waveform. Send it again from the source.")
    return found


def _group(item: Dataset, order: str) -> MultiplexGroup:
    frequency = number(item, "SamplingFrequency") or 0.0
    if frequency <= 0:
        raise UnsupportedDocument("This waveform does not say how fast it was sampled.")
    samples = _samples(item, order)
    definitions = items(item, "ChannelDefinitionSequence")
    if len(definitions) != samples.shape[1]:
        raise UnsupportedDocument("This waveform does not describe each of its channels.")
    return MultiplexGroup(
        label=text(item, "MultiplexGroupLabel"),
        originality=text(item, "WaveformOriginality").upper(),
        sampling_frequency=frequency,
        time_offset_s=(number(item, "MultiplexGroupTimeOffset") or 0.0) / 1000,
        channels=tuple(_channel(one, n, frequency) for n, one in enumerate(definitions, start=1)),
        samples=samples,
        padding=_padding(item, samples.dtype),
    )


def _samples(item: Dataset, order: str) -> NDArray[Any]:
    """Return stored values by sample and channel; a view of the bytes, which must all be there."""
    kind = _DTYPES.get(text(item, "WaveformSampleInterpretation").upper())
    bits = integer(item, "WaveformBitsAllocated")
    if kind is None or bits != 8 * np.dtype(kind).itemsize:
        raise UnsupportedDocument(
            "The samples of this waveform are of a kind that is not drawn, such as sound."
            " Open it on the PACS."
        )
    channels = integer(item, "NumberOfWaveformChannels") or 0
    length = integer(item, "NumberOfWaveformSamples") or 0
    data = value_of(item, "WaveformData") or b""
    wanted = channels * length * np.dtype(kind).itemsize
    if not (0 < channels <= MAX_CHANNELS and length > 0 and isinstance(data, bytes)):
        raise UnsupportedDocument("This waveform has no samples, or more channels than are drawn.")
    if len(data) < wanted:
        raise UnsupportedDocument(
            "This waveform is shorter than it says, so it is not drawn."
            " Send it again from the source."
        )
    stored = np.frombuffer(data, np.dtype(order + kind), channels * length)
    return stored.reshape(length, channels)


def _padding(item: Dataset, dtype: np.dtype[Any]) -> int | None:
    """Return the padding value, which is stored like a sample or was read as a number."""
    found = value_of(item, "WaveformPaddingValue")
    if isinstance(found, bytes) and len(found) >= dtype.itemsize:
        return int(np.frombuffer(found, dtype, 1)[0])
    return found if isinstance(found, int) else None


def _channel(item: Dataset, channel_number: int, frequency: float) -> Channel:
    sensitivity = number(item, "ChannelSensitivity")
    unit = _unit(item)
    factor = _MILLIVOLTS.get(unit, 1.0)
    step = 1.0 if sensitivity is None else sensitivity
    correction = number(item, "ChannelSensitivityCorrectionFactor")
    baseline = number(item, "ChannelBaseline") or 0.0
    is_calibrated = sensitivity is not None and bool(unit)
    return Channel(
        label=_label(item) or f"Channel {channel_number}",
        unit="mV" if unit in _MILLIVOLTS and is_calibrated else unit if is_calibrated else "",
        is_calibrated=is_calibrated,
        time_skew_s=_skew(item, frequency),
        filters=_filters(item),
        scale=step * (1.0 if correction is None else correction) * factor,
        offset=baseline * factor,
    )


def _unit(item: Dataset) -> str:
    units = items(item, "ChannelSensitivityUnitsSequence")[:1]
    return text(units[0], "CodeValue") if units else ""


def _label(item: Dataset) -> str:
    sources = items(item, "ChannelSourceSequence")[:1]
    meaning = text(sources[0], "CodeMeaning") if sources else ""
    return meaning or text(item, "ChannelLabel")


def _skew(item: Dataset, frequency: float) -> float:
    """Return a channel's delay in seconds: told in seconds or in samples (PS3.3 C.10.9.1.4.3)."""
    seconds = number(item, "ChannelTimeSkew")
    samples = number(item, "ChannelSampleSkew")
    return seconds if seconds is not None else (samples or 0.0) / frequency


def _filters(item: Dataset) -> str:
    low, high = number(item, "FilterLowFrequency"), number(item, "FilterHighFrequency")
    notch = number(item, "NotchFilterFrequency")
    parts = []
    if low is not None or high is not None:
        parts.append(
            f"{'?' if low is None else f'{low:g}'}-{'?' if high is None else f'{high:g}'} Hz"
        )
    if notch:
        parts.append(f"notch {notch:g} Hz")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class WaveformAnnotation:
    """What the recorder noted beside a waveform (PS3.3 C.10.10): a statement or a measurement.

    Parameters
    ----------
    name : str
        Of a measurement, for example `QT Interval`; '' for a statement.
    value : str
        The statement, the measured number or the meaning of a code.
    unit : str
        UCUM, '' when there is none.
    """

    name: str
    value: str
    unit: str


def annotations_of(header: Dataset) -> tuple[WaveformAnnotation, ...]:
    """Read the statements and measurements of a waveform object that have a value.

    Parameters
    ----------
    header : pydicom.Dataset
        Of a waveform object.

    Returns
    -------
    tuple of WaveformAnnotation
        At most `MAX_ANNOTATIONS`.
    """
    noted = items(header, "WaveformAnnotationSequence")[:MAX_ANNOTATIONS]
    return tuple(filter(lambda one: one.value, map(_annotation, noted)))


def _annotation(item: Dataset) -> WaveformAnnotation:
    names = items(item, "ConceptNameCodeSequence")[:1]
    codes = items(item, "ConceptCodeSequence")[:1]
    units = items(item, "MeasurementUnitsCodeSequence")[:1]
    value = (
        lines(item, "UnformattedTextValue")
        or text(item, "NumericValue")
        or (text(codes[0], "CodeMeaning") if codes else "")
    )
    unit = text(units[0], "CodeValue") if units else ""
    return WaveformAnnotation(text(names[0], "CodeMeaning") if names else "", value, unit)
