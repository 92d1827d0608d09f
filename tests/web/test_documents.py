"""Reports, documents, waveforms and videos as pages: readable without scripts, and inert."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate

from tests.web.tiny_video import mp4

Make = Callable[..., FileDataset]
Path_ = Callable[[Dataset], str]
PDF = b"%PDF-1.4\n%%EOF\n"
SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg/onload=alert(1)>",
    "{{7*7}}{% raw %}",
    "javascript:alert(1)",
    "'-alert(1)-'",
)
ALLOWED_SCRIPT = re.compile(r"^/static/[a-z0-9_./?=-]+$")


class Tags(HTMLParser):
    """Collects what could run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.risks: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and not ALLOWED_SCRIPT.fullmatch(given.get("src") or ""):
            self.risks.append(tag)
        self.risks += [name for name in given if name.startswith("on") or name == "style"]
        self.risks += [v for n, v in attrs if n in ("href", "src") and (v or "").startswith("java")]

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def code(meaning: str, value: str = "1") -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator="99TEST", CodeMeaning=meaning)


def content(value_type: str, name: str, **elements: Any) -> Dataset:
    return item(ValueType=value_type, ConceptNameCodeSequence=[code(name, name[:16])], **elements)


def measured(name: str, value: str, unit: str) -> Dataset:
    units = [code(unit, unit)]
    number = item(NumericValue=value, MeasurementUnitsCodeSequence=units)
    return content("NUM", name, MeasuredValueSequence=[number])


@pytest.fixture
def without_pixels(make_instance: Make) -> Make:
    """Make an object of a class without pixels."""

    def make(sop_class_uid: str, modality: str = "SR", **elements: Any) -> FileDataset:
        ds = make_instance(SOPClassUID=sop_class_uid, Modality=modality, **elements)
        for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
            del ds[keyword]
        return ds

    return make


@pytest.fixture
def shown(client: FlaskClient, keeper: Any, address: Path_) -> Callable[..., str]:
    """Keep an object and return its page."""

    def show(dataset: FileDataset, query: str = "") -> str:
        keeper.keep(dataset)
        answer = client.get(f"{address(dataset)}/document{query}")
        assert answer.status_code == 200, answer.text
        return answer.text

    return show


def report(make: Make, *contents: Dataset, **elements: Any) -> FileDataset:
    return make(
        elements.pop("sop_class_uid", uid.ComprehensiveSRStorage),
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[code("Chest report")],
        CompletionFlag="PARTIAL",
        VerificationFlag="UNVERIFIED",
        ContentSequence=list(contents),
        **elements,
    )


def test_a_report_is_read_with_its_patient_and_its_state(
    shown: Callable[..., str], without_pixels: Make
) -> None:
    text = Tags(
        shown(
            report(
                without_pixels,
                content("TEXT", "Impression", TextValue="No fracture."),
                measured("Length", "12.5", "mm"),
                content("DATE", "Seen on", Date="20260102"),
            )
        )
    ).text
    assert "PHANTOM, Test" in text
    assert "Chest report" in text
    assert "Partial: not complete" in text
    assert "Not verified" in text
    assert "No fracture." in text
    assert "12.5 mm" in text
    assert "02-Jan-2026" in text


def test_the_events_of_a_dose_report_are_a_table(
    shown: Callable[..., str], without_pixels: Make
) -> None:
    events = [
        content(
            "CONTAINER",
            "CT Acquisition",
            ContentSequence=[
                content("TEXT", "Acquisition Protocol", TextValue=f"Head {n}"),
                content(
                    "CONTAINER", "CT Dose", ContentSequence=[measured("DLP", str(n), "mGy.cm")]
                ),
            ],
        )
        for n in (111, 222)
    ]
    page = shown(report(without_pixels, *events, sop_class_uid=uid.XRayRadiationDoseSRStorage))
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    assert any(">DLP<" in row and "111 mGy.cm" in row and "222 mGy.cm" in row for row in rows)


def test_key_images_are_pictures_and_missing_ones_are_counted(
    shown: Callable[..., str], without_pixels: Make, make_instance: Make, keeper: Any
) -> None:
    image = make_instance()
    keeper.keep(image)

    def target(sop_instance_uid: str) -> Dataset:
        reference = item(
            ReferencedSOPClassUID=uid.CTImageStorage, ReferencedSOPInstanceUID=sop_instance_uid
        )
        return item(ValueType="IMAGE", ReferencedSOPSequence=[reference])

    page = shown(
        report(
            without_pixels,
            target(image.SOPInstanceUID),
            target("1.2.3.4"),
            target("1.2.3.5"),
            sop_class_uid=uid.KeyObjectSelectionDocumentStorage,
            StudyInstanceUID=image.StudyInstanceUID,
        )
    )
    assert f"instances/{image.SOPInstanceUID}/frames/1/thumbnail" in page
    assert "2 referred to, not on this node" in page


@pytest.mark.parametrize("text", SCRIPTS)
def test_text_of_a_report_stays_text(
    shown: Callable[..., str], without_pixels: Make, text: str
) -> None:
    page = shown(
        report(
            without_pixels,
            content("TEXT", text, TextValue=text),
            content("CODE", text, ConceptCodeSequence=[code(text)]),
            content("PNAME", text, PersonName=text),
            content("DATETIME", text, DateTime=text[:26]),
            content("CONTAINER", text, ContentSequence=[content("UIDREF", text, UID="1.2")]),
            PatientName=text,
            StudyDescription=text,
        )
    )
    assert Tags(page).risks == []
    assert "49" not in Tags(page).text or "7*7" in Tags(page).text


def test_a_report_nested_deeper_than_anyone_reads_still_shows(
    shown: Callable[..., str], without_pixels: Make
) -> None:
    deepest = content("TEXT", "End", TextValue="unreachable")
    for n in range(40):
        deepest = content("CONTAINER", f"Level {n}", ContentSequence=[deepest])
    page = shown(report(without_pixels, deepest))
    assert "a part is not shown" in page
    assert "Level 39" in page


def test_a_report_as_json_is_the_same_tree(
    client: FlaskClient, keeper: Any, without_pixels: Make, address: Path_
) -> None:
    dataset = report(without_pixels, measured("Length", "12.5", "mm"))
    keeper.keep(dataset)
    found = client.get(f"/api/v1{address(dataset)}/document").json
    [one] = found["report"]["items"]
    assert found["kind"] == "report"
    assert (one["name"], one["value"], one["unit"]) == ("Length", "12.5", "mm")


@pytest.fixture
def pdf(without_pixels: Make) -> Make:
    """Make an object that holds a document."""

    def make(held: bytes = PDF, sop_class_uid: str = uid.EncapsulatedPDFStorage) -> FileDataset:
        return without_pixels(
            sop_class_uid,
            "DOC",
            DocumentTitle="Consent",
            MIMETypeOfEncapsulatedDocument="application/pdf",
            EncapsulatedDocument=held + b"\0" * (len(held) % 2),
            EncapsulatedDocumentLength=len(held),
        )

    return make


def test_a_pdf_is_served_inert_and_whole(
    client: FlaskClient, shown: Callable[..., str], pdf: Make
) -> None:
    page = shown(pdf())
    [source] = re.findall(r'<iframe class="pdf" src="([^"]+)"', page)
    answer = client.get(source)
    assert answer.data == PDF
    assert answer.mimetype == "application/pdf"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox;")
    assert "allow-scripts" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == 'inline; filename="document.pdf"'
    saved = client.get(f"{source}&save=1")
    assert saved.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("held", [b"<html><script>alert(1)</script>", b"MZ\x90\x00", b""])
def test_what_is_no_pdf_is_refused_in_words(
    client: FlaskClient, shown: Callable[..., str], pdf: Make, address: Path_, held: bytes
) -> None:
    dataset = pdf(held)
    page = shown(dataset)
    assert 'role="alert"' in page
    assert "iframe" not in page
    answer = client.get(f"{address(dataset)}/document/content")
    assert answer.status_code == 406
    assert b"<html><script>" not in answer.data


def test_other_documents_are_only_saved(
    client: FlaskClient, shown: Callable[..., str], pdf: Make, address: Path_
) -> None:
    dataset = pdf(b"<?xml version='1.0'?>", uid.EncapsulatedCDAStorage)
    assert "CDA document" in shown(dataset)
    answer = client.get(f"{address(dataset)}/document/content")
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="document.xml"'


def video(make: Make, stream: bytes, syntax: str = uid.MPEG4HP41) -> FileDataset:
    dataset = make(SOPClassUID=uid.VideoEndoscopicImageStorage, Modality="ES")
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.NumberOfFrames = 4
    return dataset


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-99", 206, 0, 99),
        ("bytes=100-", 206, 100, None),
        ("bytes=-50", 206, -50, None),
        ("bytes=0-0,5-9", 200, 0, None),
        ("items=0-5", 200, 0, None),
        ("nonsense", 200, 0, None),
    ],
)
def test_a_video_is_given_in_ranges(
    client: FlaskClient,
    keeper: Any,
    make_instance: Make,
    address: Path_,
    asked: str,
    status: int,
    first: int,
    last: int | None,
) -> None:
    stream = mp4([40, 200])
    stream += b"\0" * (len(stream) % 2)
    dataset = video(make_instance, stream)
    keeper.keep(dataset)
    answer = client.get(f"{address(dataset)}/document/content", headers={"Range": asked})
    expected = stream[first:] if last is None else stream[first : last + 1]
    assert answer.status_code == status
    assert answer.data == expected
    assert answer.mimetype == "video/mp4"
    if status == 206:
        start = len(stream) + first if first < 0 else first
        stop = start + len(expected) - 1
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop}/{len(stream)}"


def test_a_range_beyond_the_end_is_told_the_length(
    client: FlaskClient, keeper: Any, make_instance: Make, address: Path_
) -> None:
    dataset = video(make_instance, mp4([40]))
    keeper.keep(dataset)
    path = f"{address(dataset)}/document/content"
    length = len(client.get(path).data)
    answer = client.get(path, headers={"Range": f"bytes={length}-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{length}"
    other = client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert other.status_code == 200


def test_a_video_browsers_do_not_play_is_offered_as_it_is(
    shown: Callable[..., str], make_instance: Make
) -> None:
    page = shown(video(make_instance, b"\0\0\x01\xba" + bytes(60), uid.MPEG2MPML))
    assert "Browsers do not play it" in page
    assert "<video" not in page
    assert "Save the video" in page


def ecg(make: Make, **changes: Any) -> FileDataset:
    group = item(
        NumberOfWaveformChannels=1,
        NumberOfWaveformSamples=12_500,
        SamplingFrequency=500,
        MultiplexGroupLabel="RHYTHM",
        ChannelDefinitionSequence=[
            item(
                ChannelSourceSequence=[code(changes.pop("label", "Lead II"))],
                ChannelSensitivity=1,
                ChannelSensitivityCorrectionFactor=1,
                ChannelBaseline=0,
                ChannelSensitivityUnitsSequence=[code("microvolt", "uV")],
            )
        ],
        WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
        WaveformData=np.zeros(12_500, "<i2").tobytes(),
    )
    for keyword, value in changes.items():
        setattr(group, keyword, value)
    return make(uid.TwelveLeadECGWaveformStorage, "ECG", WaveformSequence=[group])


def test_an_ecg_is_drawn_with_its_speed_and_gain(
    client: FlaskClient, shown: Callable[..., str], without_pixels: Make, address: Path_
) -> None:
    dataset = ecg(without_pixels)
    page = shown(dataset)
    assert "25 mm/s" in page
    assert "10 mm/mV" in page
    assert "Lead II" in page
    assert 'class="wave" d="M0 ' in page
    later = client.get(f"{address(dataset)}/document?page=3").text
    assert "seconds 20 to 25 of 25" in later
    for wrong in ("page=0", "page=4", "page=x", "group=2", "page=99999999999999999999"):
        assert client.get(f"{address(dataset)}/document?{wrong}").status_code == 400


def test_a_real_ecg_is_drawn_whole(client: FlaskClient, keeper: Any) -> None:
    import pydicom

    path = Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))
    keeper.keep_file(path)
    ds = pydicom.dcmread(path)
    page = client.get(
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
        f"/instances/{ds.SOPInstanceUID}/document"
    ).text
    assert page.count('class="wave"') == 12
    assert "QTc Interval" in page
    assert Tags(page).risks == []


@pytest.mark.parametrize("text", SCRIPTS)
def test_text_of_a_waveform_stays_text(
    shown: Callable[..., str], without_pixels: Make, text: str
) -> None:
    assert Tags(shown(ecg(without_pixels, label=text))).risks == []


def test_a_waveform_that_claims_two_thousand_million_samples_is_refused(
    shown: Callable[..., str], without_pixels: Make
) -> None:
    page = shown(ecg(without_pixels, NumberOfWaveformSamples=2**31 - 1))
    assert "shorter than it says" in page


@pytest.mark.parametrize(
    "sop_class_uid", [uid.RTPlanStorage, uid.RawDataStorage, uid.SpatialRegistrationStorage]
)
def test_what_cannot_be_shown_says_what_it_is(
    shown: Callable[..., str], without_pixels: Make, sop_class_uid: str
) -> None:
    page = shown(without_pixels(sop_class_uid, "OT"))
    assert 'role="alert"' in page
    assert "Save the DICOM object" in page


def test_a_damaged_file_is_no_error_page(
    client: FlaskClient, keeper: Any, without_pixels: Make, address: Path_
) -> None:
    dataset = report(without_pixels)
    keeper.keep(dataset)
    [stored] = keeper.data.glob("instances/**/*.dcm")
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes()[:200])
    answer = client.get(f"{address(dataset)}/document")
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text


def test_the_object_can_be_saved_from_its_page(
    client: FlaskClient, shown: Callable[..., str], without_pixels: Make
) -> None:
    page = shown(report(without_pixels))
    [link] = re.findall(r'href="(/dicom-web[^"]+)" download', page)
    answer = client.get(link)
    assert answer.mimetype == "application/dicom"
    assert answer.data[128:132] == b"DICM"


def test_a_plain_viewer_page_leads_to_what_is_no_picture(
    client: FlaskClient, keeper: Any, without_pixels: Make, address: Path_
) -> None:
    dataset = report(without_pixels)
    keeper.keep(dataset)
    page = client.get(f"/studies/{dataset.StudyInstanceUID}/plain").text
    assert f'href="{address(dataset)}/document"' in page
