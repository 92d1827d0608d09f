"""Asking one PACS what it holds."""

import pytest

from dicom_node.errors import PeerUnreachable
from dicom_node.pacs import NO_QUERY_S, Pacs
from dicom_node.setting_tables import PacsSettings


def test_a_pacs_that_offers_no_query_is_not_asked_for_each_series(bit_preserving_receiver):
    now = [0.0]
    port = bit_preserving_receiver.port
    pacs = Pacs(
        PacsSettings("pacs", "STORESCP", "127.0.0.1", port), "LIFEBOAT", monotonic=lambda: now[0]
    )
    assert pacs.held_instances("1.2", "1.3") is None
    bit_preserving_receiver.process.terminate()
    bit_preserving_receiver.process.wait(10)
    assert pacs.held_instances("1.2", "1.4") is None, "it was not asked: it is gone"
    now[0] = NO_QUERY_S + 1
    with pytest.raises(PeerUnreachable):
        pacs.held_instances("1.2", "1.3")
