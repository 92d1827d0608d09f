import io
import json
import logging
import sys

import pytest

from dicom_node.log import FIELDS, JsonLines


@pytest.fixture
def line():
    """Log something and return the line it becomes."""

    def write(name: str, message: str, level: int = logging.INFO, **options) -> dict:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            logger.log(level, message, **options)
        finally:
            logger.removeHandler(handler)
        return json.loads(stream.getvalue())

    return write


def test_a_line_is_json_with_time_event_and_facts(line):
    found = line("dicom_node.ingest", "instance_quarantined", extra={"status": "A900", "bytes": 7})
    assert found["event"] == "instance_quarantined"
    assert (found["status"], found["bytes"], found["level"]) == ("A900", 7, "info")
    assert found["at"].endswith("+00:00")


def test_facts_that_are_not_on_the_list_are_dropped(line):
    found = line("dicom_node.ingest", "x", extra={"patient_name": "CANARY", "status": "0000"})
    assert "CANARY" not in json.dumps(found)


def test_other_libraries_texts_are_dropped(line):
    found = line("pynetdicom.dimse", "Patient's Name: CANARY")
    assert "CANARY" not in json.dumps(found)
    assert found["event"] == "library_message"


def test_an_error_leaves_its_type_and_place_never_its_words(line):
    try:
        raise ValueError("CANARY")
    except ValueError:
        found = line("dicom_node.server", "failed", logging.ERROR, exc_info=sys.exc_info())
    assert found["error_type"] == "ValueError"
    assert "CANARY" not in json.dumps(found)


def test_the_list_holds_no_patient_data():
    assert not [name for name in FIELDS if name.startswith(("patient", "study", "accession"))]
