"""The delivering process as a whole."""

import pytest

from dicom_node.errors import StoreInUse
from dicom_node.settings import load_settings
from dicom_node.sync import SyncService


def test_one_process_at_a_time_delivers_from_a_data_folder(tmp_path):
    overrides = ["pacs.host=127.0.0.1", "pacs.port=1", "sync.enabled=false"]
    settings = load_settings(environment={}, data=tmp_path / "data", overrides=overrides)
    first = SyncService(settings)
    first.start()
    copy = tmp_path / "data" / "outgoing" / "1-2.dcm"
    copy.parent.mkdir(exist_ok=True)
    copy.touch()
    with pytest.raises(StoreInUse, match="already delivers from"):
        SyncService(settings)
    assert copy.exists()  # what the first is sending is left alone
    first.stop()
    second = SyncService(settings)
    second.start()
    second.stop()
    assert not copy.exists()
