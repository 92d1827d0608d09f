import json

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from web.metadata import of_header, without_bulk


def test_bulk_data_are_left_out_on_every_level() -> None:
    inner, header = Dataset(), Dataset()
    for dataset in (inner, header):
        dataset.add_new(0x00420011, "OB", bytes(2000))
        dataset.add_new(0x00282000, "OB", bytes(10))
    header.IconImageSequence = Sequence([inner])
    kept = without_bulk(header)
    assert 0x00420011 not in kept
    assert 0x00420011 not in kept.IconImageSequence[0]
    assert 0x00282000 in kept.IconImageSequence[0]
    assert 0x00420011 in header, "the data set itself is not changed"


def test_numbers_json_cannot_express_are_null() -> None:
    header = Dataset()
    header.add_new(0x00189073, "FD", [1.5, float("nan"), float("inf")])
    found = of_header(header)
    assert found["00189073"]["Value"] == [1.5, None, None]
    json.dumps(found, allow_nan=False)


def test_a_damaged_instance_is_described_by_the_index(client, keeper, make_instance, address):
    dataset = make_instance()
    keeper.keep(dataset)
    [path] = keeper.data.glob("instances/**/*.dcm")
    path.unlink()
    path.write_bytes(b"damaged")
    [found] = client.get(f"/dicom-web{address(dataset)}/metadata").json
    assert Dataset.from_json(found).SOPInstanceUID == dataset.SOPInstanceUID
