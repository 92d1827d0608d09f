"""web.display_check: what a display makes of known grey levels."""

import io

import numpy as np
import pytest
from PIL import Image

from viewer.test_pattern import pattern


def test_every_page_leads_to_the_check_and_says_uncalibrated(client):
    board = client.get("/").text
    assert 'href="/display"' in board
    page = client.get("/display?size=1920x1080")
    assert page.status_code == 200
    assert "uncalibrated" in page.text
    assert "/display/pattern.png?size=1920x1080" in page.text


def test_the_pattern_arrives_to_the_grey_level(client):
    answer = client.get("/display/pattern.png?size=640x480")
    assert answer.mimetype == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.data))), pattern(640, 480))


@pytest.mark.parametrize("size", ["1x1", "99999x99999", "640", "640x", "-640x480", "640x480x2"])
def test_a_size_out_of_range_is_refused_in_words(client, size):
    answer = client.get(f"/display/pattern.png?size={size}")
    assert answer.status_code == 400
    assert "WIDTHxHEIGHT" in answer.text
