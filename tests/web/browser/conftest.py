"""One node and one web process for all tests of this folder: each brings a study of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from dicom_node.clock import utc_now
from dicom_node.setting_tables import NodeSettings, WebSettings
from dicom_node.settings import Settings
from tests.web.browser.hands import COLUMN_MM, ROW_MM
from tests.web.conftest import Keeper, started_web

Make = Callable[..., FileDataset]


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("browser") / "data"
    data.mkdir()
    return Settings(node=NodeSettings(data=data), web=WebSettings(quiet_after_s=30.0))


@pytest.fixture(scope="session")
def keeper(settings: Settings) -> Iterator[Any]:
    keeper = Keeper(settings.node.data, utc_now)
    yield keeper
    keeper.close()


@pytest.fixture(scope="session")
def served(settings: Settings, keeper: Any) -> Iterator[int]:
    web = started_web(settings.node.data)
    yield web.port
    web.stop()


@pytest.fixture
def stack(keeper: Any, make_instance: Make) -> list[FileDataset]:
    """A CT of three slices whose pixels are not square; the middle one is opened."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    known = {"PixelSpacing": [ROW_MM, COLUMN_MM], "PixelPaddingValue": -1000}
    slices = [make_instance(n, **uids, **known, RescaleType="HU") for n in range(1, 4)]
    for one in slices:
        one["PixelPaddingValue"].VR = "SS"
    keeper.keep(*slices)
    return slices


@pytest.fixture
def touch(browser: Browser, served: int) -> Iterator[Page]:
    """A page on a tablet, with fingers and no mouse."""
    context = browser.new_context(
        viewport={"width": 1024, "height": 768},
        has_touch=True,
        base_url=f"http://127.0.0.1:{served}",
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()
