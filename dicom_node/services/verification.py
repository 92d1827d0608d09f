"""Verification service class: C-ECHO (PS3.4 Annex A)."""

from pynetdicom import evt

SUCCESS = 0x0000


def handle_echo(event: evt.Event) -> int:
    """Answer a C-ECHO: the node is alive and takes associations."""
    return SUCCESS
