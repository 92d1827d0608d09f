"""All that a browser needs to draw one frame itself, and to say whose and where it is."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from pydicom import uid

from viewer.calibration import pixel_aspect_ratio, pixel_spacing
from viewer.colour import supplemental_palette_of
from viewer.decode import Instance, StoredFrame
from viewer.errors import NoSuchFrame, UnsupportedTransferSyntax, ViewerError
from viewer.frame_facts import MOST_KEPT
from viewer.geometry import (
    frame_letters,
    image_orientation_patient,
    image_position_patient,
    slice_normal,
    slice_position,
    slice_thickness,
    spacing_between_slices,
)
from viewer.grey_transforms import (
    GreyTransforms,
    InitialVoi,
    grey_transforms_of,
    initial_voi,
)
from viewer.header import functional_group, integer, number, numbers, text, texts, value_of
from viewer.overlays import overlay_info
from viewer.pixel_format import MAX_PIXELS, PixelFormat
from viewer.shutters import shutter_info
from viewer.ultrasound_regions import ultrasound_regions
from viewer.windowing import VoiLut, Window

_ALWAYS_LOSSY: Final = frozenset((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit))
_NOT_GREY: Final[dict[str, Any]] = {
    "invert": False,
    "modality": None,
    "windows": [],
    "voi_luts": [],
    "initial": None,
    "pixel_padding": None,
    "supplemental_palette": None,
}


def frame_info(
    instance: Instance, frame_number: int, *, stored: StoredFrame | None = None
) -> dict[str, Any]:
    """Describe one frame in JSON-able values.

    Nothing is decoded unless the first window must be computed from the pixels; damage inside a
    codestream is found only then, or when the frame is asked for.

    Parameters
    ----------
    instance : Instance
        From `viewer.decode.open_instance`.
    frame_number : int
        1-based.
    stored : numpy.ndarray, optional
        What `instance.stored_frame` returned, when the caller has it already.

    Returns
    -------
    dict
        Keys are DICOM keywords in snake case, or named below. Text is '' and numbers are None
        when absent.

    Raises
    ------
    NoSuchFrame
        The number is outside 1 to the number of frames.

    Notes
    -----
    `kind` is `grey`, `colour` or `none`; for `none`, `reason` has the `code` and `message` of the
    error. `family` is `image`, `transfer-syntax` (an image nobody here can decode), or a name of
    `viewer.families`. `pixels` is the type and range of `Instance.stored_frame` (little endian,
    row by row); `rgb8` is three bytes a pixel, ready to draw. `smallest_image_pixel_value` and
    `largest_image_pixel_value` (padding, NaN and infinity left out) are None unless the frame was
    decoded.

    `lossy` has the permanent marks: `ratio` and `method` of the last compression, `ratios` and
    `methods` of all, oldest first. `burned_in_annotation` is `YES`, `NO` or ''. Colours are
    drawn as stored, whether or not there is a colour profile (`has_icc_profile`).

    `overlays` is what `viewer.overlays.overlay_info` returns, `shutter` what
    `viewer.shutters.shutter_info` returns: a pixel is seen when its centre lies inside or on the
    edge of all its shapes, others get `shutter.grey`, inverted or not. `supplemental_palette`,
    when given, colours stored values from its `first` on: three bytes each as hexadecimal digits
    in `rgb`, values beyond the end like the last.

    A grey frame is drawn by computing, in double precision and in this order of operations, for
    each stored value ``s`` (a table over `pixels.min` to `pixels.max` will do):

    1. Modality: ``x = s * rescale_slope + rescale_intercept``; or, when `modality.lut` is given,
       ``x = values[clamp(s - first, 0, values.length - 1)]``.
    2. VOI, giving ``y``:

       - LINEAR, width >= 1: ``m = center - 0.5``, ``h = (width - 1) / 2``; ``y = 0`` if
         ``x <= m - h``; ``y = 255`` if ``x > m + h``; else
         ``y = (x - m) * 255 / (width - 1) + 127.5``.
       - LINEAR_EXACT, and LINEAR with width < 1: ``h = width / 2``; ``y = 0`` if
         ``x <= center - h``; ``y = 255`` if ``x > center + h``; else
         ``y = (x - center) * 255 / width + 127.5``.
       - SIGMOID: ``y = 255 / (1 + exp(-4 * (x - center) / width))``.
       - VOI LUT: ``y = values[clamp(floor(x + 0.5) - first, 0, values.length - 1)] * 255
         / (2**bits - 1)``.
    3. Rounding: ``v = floor(y + 0.5)``.
    4. Polarity: ``v = 255 - v`` if `invert` differs from the user's own inversion.
    5. Padding: ``v = 0`` if ``pixel_padding[0] <= s <= pixel_padding[1]``, inverted or not;
       ``v = 0`` too if ``s`` is NaN or infinite (`pixels.dtype` float32 and float64).

    This gives exactly what `viewer.render.grey_frame` gives; SIGMOID may differ by one level
    where two machines' ``exp`` differ in the last bit.
    """
    index = frame_number - 1
    info = _identity(instance, frame_number) | _geometry(instance, index) | _texts(instance, index)
    info |= _graphics(instance, frame_number)
    try:
        pixel_format = instance.frame_format(frame_number)
        return info | _picture(instance, frame_number, pixel_format, stored)
    except NoSuchFrame:
        raise
    except ViewerError as error:
        reason = {"code": error.code, "message": str(error)}
        is_unknown = isinstance(error, UnsupportedTransferSyntax) and instance.family is None
        info |= {"family": "transfer-syntax"} if is_unknown else {}
        return info | _NOT_GREY | {"kind": "none", "reason": reason, "pixels": None}


def _identity(instance: Instance, frame_number: int) -> dict[str, Any]:
    header = instance.header
    return {
        "sop_instance_uid": text(header, "SOPInstanceUID"),
        "series_instance_uid": text(header, "SeriesInstanceUID"),
        "study_instance_uid": text(header, "StudyInstanceUID"),
        "sop_class_uid": text(header, "SOPClassUID"),
        "family": "image" if instance.family is None else instance.family.name,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "frame_number": frame_number,
        "number_of_frames": instance.number_of_frames,
        "instance_number": integer(header, "InstanceNumber"),
        "rows": integer(header, "Rows"),
        "columns": integer(header, "Columns"),
        "photometric_interpretation": text(header, "PhotometricInterpretation"),
        "lossy": _lossy(instance),
        "has_icc_profile": value_of(header, "ICCProfile") is not None,
        "burned_in_annotation": text(instance.header, "BurnedInAnnotation"),
    }


def _lossy(instance: Instance) -> dict[str, Any]:
    header = instance.header
    ratios = numbers(header, "LossyImageCompressionRatio")
    methods = texts(header, "LossyImageCompressionMethod")
    is_marked = text(header, "LossyImageCompression") == "01"
    return {
        "is_lossy": is_marked or instance.transfer_syntax_uid in _ALWAYS_LOSSY,
        "ratio": ratios[-1] if ratios else None,
        "method": (methods or ("",))[-1],
        "ratios": list(ratios),
        "methods": list(methods),
    }


def _graphics(instance: Instance, frame_number: int) -> dict[str, Any]:
    header = instance.header
    rows, columns = integer(header, "Rows") or 0, integer(header, "Columns") or 0
    has_pixels = instance.file_header.pixel_element is not None
    is_drawable = has_pixels and 0 < rows * columns <= MAX_PIXELS
    return {
        "overlays": overlay_info(header, frame_number),
        "shutter": _shutter(instance, frame_number - 1, rows, columns) if is_drawable else None,
    }


def _shutter(instance: Instance, frame_index: int, rows: int, columns: int) -> Any:
    """Describe a frame's shutter; what was found is remembered, for it takes a while."""
    key = ("shutter", frame_index)
    if key not in instance.worked_out:
        found = shutter_info(instance.header, frame_index, rows, columns)
        if len(instance.worked_out) >= MOST_KEPT:
            return found
        instance.worked_out[key] = found
    return instance.worked_out[key]


def _geometry(instance: Instance, index: int) -> dict[str, Any]:
    """Say where a frame lies and what may be measured on it.

    A point of the frame, (x, y) in pixels from the centre of the first one, lies in the patient at
    ``position + x * column_spacing * row_direction + y * row_spacing * column_direction`` (mm),
    with `image_position_patient`, `pixel_spacing` and the halves of `image_orientation_patient`;
    `normal` is their vector product and `slice_position` the place along it. Only frames with one
    `frame_of_reference_uid` that is not '' may be compared. A length is told with
    `pixel_spacing.unit_words`; on ultrasound by the `regions` (see `viewer.ultrasound_regions`),
    each with bounds, format, units and steps.
    """
    header = instance.header
    orientation = image_orientation_patient(header, index)
    position = image_position_patient(header, index)
    letters = frame_letters(header, index)
    spacing = pixel_spacing(header, index)
    return {
        "pixel_spacing": asdict(spacing) | {"unit_words": spacing.unit_words},
        "pixel_aspect_ratio": list(pixel_aspect_ratio(header, index)),
        "orientation_letters": None if letters is None else asdict(letters),
        "image_position_patient": list(position) or None,
        "image_orientation_patient": list(orientation) or None,
        "slice_location": number(header, "SliceLocation"),
        "slice_thickness": slice_thickness(header, index),
        "slice_position": slice_position(orientation, position),
        "spacing_between_slices": spacing_between_slices(header, index),
        "normal": slice_normal(orientation),
        "frame_of_reference_uid": text(header, "FrameOfReferenceUID"),
        "regions": [asdict(region) for region in ultrasound_regions(header)],
    }


def _texts(instance: Instance, index: int) -> dict[str, Any]:
    header = instance.header
    anatomy = functional_group(header, index, "FrameAnatomySequence")
    laterality = text(header, "ImageLaterality") or text(header, "Laterality")
    if anatomy is not None:
        laterality = text(anatomy, "FrameLaterality") or laterality
    return {
        "patient": {
            "patient_name": text(header, "PatientName"),
            "patient_id": text(header, "PatientID"),
            "patient_birth_date": text(header, "PatientBirthDate"),
            "patient_sex": text(header, "PatientSex"),
        },
        "study": {
            "study_date": text(header, "StudyDate"),
            "study_time": text(header, "StudyTime"),
            "study_description": text(header, "StudyDescription"),
            "accession_number": text(header, "AccessionNumber"),
        },
        "series": {
            "modality": text(header, "Modality"),
            "series_number": integer(header, "SeriesNumber"),
            "series_description": text(header, "SeriesDescription"),
            "body_part_examined": text(header, "BodyPartExamined"),
            "laterality": laterality,
        },
    }


def _picture(
    instance: Instance, frame_number: int, pixel_format: PixelFormat, stored: StoredFrame | None
) -> dict[str, Any]:
    if not pixel_format.is_grey:
        pixels = {"dtype": "rgb8", "min": 0, "max": 255} | _extremes(None, None)
        return _NOT_GREY | {"kind": "colour", "reason": None, "pixels": pixels}
    decoded = [] if stored is None else [stored]

    def read_stored() -> StoredFrame:
        if not decoded:
            decoded.append(instance.stored_frame(frame_number))
        return decoded[0]

    transforms = grey_transforms_of(instance.header, frame_number - 1, pixel_format)
    initial = initial_voi(transforms, pixel_format, read_stored)
    lowest, highest = pixel_format.stored_domain
    pixels = {"dtype": pixel_format.stored_dtype.name, "min": lowest, "max": highest}
    values = decoded[0] if decoded else None
    return {
        "kind": "grey",
        "reason": None,
        "pixels": pixels | _extremes(values, transforms.pixel_padding),
        "supplemental_palette": _supplemental_palette(instance, frame_number - 1, pixel_format),
    } | _grey(transforms, initial)


def _supplemental_palette(
    instance: Instance, frame_index: int, pixel_format: PixelFormat
) -> dict[str, Any] | None:
    palette = supplemental_palette_of(instance.header, frame_index, pixel_format)
    if palette is None:
        return None
    return {"first": palette.first, "rgb": palette.rgb.tobytes().hex()}


def _extremes(stored: StoredFrame | None, padding: tuple[float, float] | None) -> dict[str, Any]:
    values = np.empty(0) if stored is None else stored
    if padding is not None:
        values = values[(values < padding[0]) | (values > padding[1])]
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return {
        "smallest_image_pixel_value": values.min().item() if values.size else None,
        "largest_image_pixel_value": values.max().item() if values.size else None,
    }


def _grey(transforms: GreyTransforms, initial: InitialVoi) -> dict[str, Any]:
    modality = transforms.modality
    lut = {"first": modality.first, "values": list(modality.values)} if modality.values else None
    return {
        "invert": transforms.is_inverted,
        "modality": {
            "rescale_slope": modality.slope,
            "rescale_intercept": modality.intercept,
            "rescale_type": modality.rescale_type,
            "lut": lut,
        },
        "windows": [asdict(window) for window in transforms.windows],
        "voi_luts": [_voi_lut(voi_lut) for voi_lut in transforms.voi_luts],
        "initial": _initial(initial),
        "pixel_padding": transforms.pixel_padding and list(transforms.pixel_padding),
    }


def _voi_lut(voi_lut: VoiLut) -> dict[str, Any]:
    return {
        "explanation": voi_lut.explanation,
        "first": voi_lut.first,
        "bits": voi_lut.bits,
        "values": list(voi_lut.values),
    }


def _initial(initial: InitialVoi) -> dict[str, Any]:
    if isinstance(initial.voi, Window):
        return {"kind": "window", "index": initial.index} | asdict(initial.voi)
    return {"kind": "voi_lut", "index": initial.index}
