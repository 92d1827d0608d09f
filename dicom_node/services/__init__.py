"""One file per DIMSE service class."""
