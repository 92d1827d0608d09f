"""Read the address of a peer as people write it."""

from sample_data.errors import BadAddress


def parse_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT.

    Parameters
    ----------
    text : str
        For example ``127.0.0.1:11112``; an IPv6 host may stand in brackets.

    Returns
    -------
    tuple[str, int]
        Host and TCP port.

    Raises
    ------
    BadAddress
        If the host is missing or the port is not a number from 1 to 65535.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadAddress(f"{text!r} is not HOST:PORT, for example 127.0.0.1:11112")
    return host, int(port)
