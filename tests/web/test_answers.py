import pytest

from web.answers import check_date_range
from web.errors import BadParameter


@pytest.mark.parametrize("value", ["", "20170412", "20170412-", "-20170412", "20170401-20170412"])
def test_dates_and_their_ranges_are_taken(value: str) -> None:
    check_date_range(value, "study_date")


@pytest.mark.parametrize("value", ["-", "2017", "20170412-2017", "2017-04-12", "%", "٢٠١٧٠٤١٢"])
def test_anything_else_is_refused(value: str) -> None:
    with pytest.raises(BadParameter, match="study_date"):
        check_date_range(value, "study_date")
