from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from web.errors import BadParameter
from web.rendered import read_viewport, read_window

Address = Callable[[Dataset], str]


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)))


def grey_levels(stored: np.ndarray, center: float, width: float) -> np.ndarray:
    """The linear window of PS3.3 C.11.2.1.2.1, in plain float64."""
    x = stored.astype(np.float64)
    y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
    return np.floor(np.clip(y, 0, 255) + 0.5).astype(np.uint8)


def test_a_png_has_the_levels_of_the_formula(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    url = f"/dicom-web{address(held)}/rendered"
    answer = client.get(f"{url}?window=100,500,linear&accept=image/png")
    assert answer.mimetype == "image/png"
    np.testing.assert_array_equal(picture(answer.data), grey_levels(held.pixel_array, 100, 500))
    own = client.get(url, headers={"Accept": "image/png"})
    np.testing.assert_array_equal(picture(own.data), grey_levels(held.pixel_array, 40, 400))


def test_a_viewport_bounds_the_picture(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    answer = client.get(f"/dicom-web{address(held)}/rendered?viewport=32,100")
    assert answer.mimetype == "image/jpeg"
    assert picture(answer.data).shape == (32, 32)


def test_each_frame_is_rendered(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset], address: Address
) -> None:
    dataset = make_instance(NumberOfFrames=2, WindowCenter=127, WindowWidth=256)
    values = np.repeat(np.array([10, 200], np.int16), 64 * 64)
    dataset.PixelData = values.tobytes()
    keeper.keep(dataset)
    url = f"/dicom-web{address(dataset)}"
    for path, level in (("/rendered", 11), ("/frames/1/rendered", 11), ("/frames/2/rendered", 201)):
        shown = picture(client.get(f"{url}{path}?accept=image/png").data)
        assert (shown == level).all(), path
    assert client.get(f"{url}/frames/3/rendered").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "window=nan,100",
        "window=1",
        "window=1,2,3",
        "window=40,0",
        "window=40,0.5",
        "window=40,400,cubic",
        "window=inf,1",
        "window=1e300,1",
        "viewport=0,10",
        "viewport=100000,100000",
        "viewport=10",
        "viewport=-5,5",
        "viewport=64,64,0,0,10,10",
        "quality=0",
        "quality=101",
        "quality=high",
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(
    client: FlaskClient, held: FileDataset, address: Address, query: str
) -> None:
    answer = client.get(f"/dicom-web{address(held)}/rendered?{query}")
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "bad-parameter"


def test_windows_are_read_as_the_standard_writes_them() -> None:
    window = read_window("40.5,400,linear-exact")
    assert window is not None
    assert (window.center, window.width, window.function) == (40.5, 400.0, "LINEAR_EXACT")
    assert read_window("") is None
    assert read_viewport("10,20") == read_viewport("10,20,,,,") == (10, 20)
    with pytest.raises(BadParameter):
        read_viewport("10,20,1,1,5,5")


def test_thumbnails_of_every_level_are_small_pictures(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset], address: Address
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    stack = [make_instance(n, **uids) for n in (1, 2, 3)]
    keeper.keep(*stack)
    study = f"/dicom-web/studies/{uids['StudyInstanceUID']}"
    series = f"{study}/series/{uids['SeriesInstanceUID']}"
    middle = client.get(f"/dicom-web{address(stack[1])}/thumbnail").data
    for path in (study, series):
        answer = client.get(f"{path}/thumbnail")
        assert answer.mimetype == "image/jpeg"
        assert answer.data == middle
    assert max(picture(client.get(f"{series}/thumbnail?viewport=16,16").data).shape) == 16


def test_what_has_no_picture_says_so(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset], address: Address
) -> None:
    dataset = make_instance(Modality="SR")
    del dataset.PixelData, dataset.Rows, dataset.Columns
    keeper.keep(dataset)
    for path in ("rendered", "thumbnail", "frames/1"):
        answer = client.get(f"/dicom-web{address(dataset)}/{path}")
        assert answer.status_code == 406
        assert answer.json["error"]["code"] == "unsupported-pixels"


def test_a_rendered_picture_is_asked_again_by_its_tag(
    client: FlaskClient, held: FileDataset, address: Address
) -> None:
    url = f"/dicom-web{address(held)}/rendered"
    first = client.get(url)
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    png = client.get(url, headers={"Accept": "image/png"})
    assert png.headers["ETag"] != first.headers["ETag"]


def colour_jpeg(make_instance: Callable[..., FileDataset], cut_bytes: int = 0) -> FileDataset:
    """An instance with one frame of baseline JPEG; the last bytes may be missing."""
    rows, columns = np.mgrid[0:64, 0:64]
    rgb = np.stack([rows * 3, columns * 3, 255 - rows * 2], axis=2).astype(np.uint8)
    encoded = BytesIO()
    Image.fromarray(rgb).save(encoded, "JPEG", quality=90)
    dataset = make_instance(
        SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL_422",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
    )
    frame = encoded.getvalue()
    dataset.PixelData = encapsulate([frame[: len(frame) - cut_bytes]])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return dataset


def test_a_jpeg_is_passed_on_as_it_came_and_not_compressed_once_more(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset], address: Address
) -> None:
    dataset = colour_jpeg(make_instance)
    keeper.keep(dataset)
    url = f"/dicom-web{address(dataset)}/rendered"
    stored = next(generate_frames(dataset.PixelData, number_of_frames=1))
    for whole in ("", "?viewport=200,64"):
        assert client.get(url + whole).data == stored.rstrip(b"\0")
    for changed in ("?viewport=32,32", "?quality=50", "?overlays=true"):
        assert client.get(url + changed).data != stored.rstrip(b"\0")
    assert client.get(f"{url}?accept=image/png").mimetype == "image/png"


def test_half_a_jpeg_is_refused_not_passed_on(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset], address: Address
) -> None:
    dataset = colour_jpeg(make_instance, cut_bytes=900)
    keeper.keep(dataset)
    answer = client.get(f"/dicom-web{address(dataset)}/rendered")
    assert answer.status_code == 406
    assert answer.json["error"]["message"]


def test_overlays_are_drawn_when_asked_for(
    client: FlaskClient, keeper, make_instance: Callable[..., FileDataset], address: Address
) -> None:
    dataset = make_instance()
    dataset.add_new(0x60000010, "US", 64)
    dataset.add_new(0x60000011, "US", 64)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    plane = np.zeros((64, 64), np.uint8)
    plane[20, 10:30] = 1
    dataset.add_new(0x60003000, "OW", np.packbits(plane, bitorder="little").tobytes())
    keeper.keep(dataset)
    url = f"/dicom-web{address(dataset)}/rendered?accept=image/png"
    plain, drawn = (picture(client.get(url + more).data) for more in ("", "&overlays=true"))
    assert (drawn[20, 10:30] == 255).all()
    assert np.array_equal(drawn[40:], plain[40:])
    assert client.get(f"{url}&overlays=perhaps").status_code == 400
