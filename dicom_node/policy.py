"""Who may call the DICOM port, and what each caller may do there."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydicom.uid import UID

from dicom_node.association_request import (
    APPLICATION_CONTEXT_NAME,
    BAD_CALLING_AE_TITLE,
    PROTOCOL_VERSION,
    UNKNOWN_CALLER,
    WRONG_APPLICATION_CONTEXT,
    WRONG_CALLED_AE_TITLE,
    WRONG_PROTOCOL_VERSION,
    AssociationRequest,
    Rejection,
)
from dicom_node.setting_tables import ModalitySettings, PacsSettings
from dicom_node.settings import Settings


class Right(StrEnum):
    """What a caller may ask of us."""

    ECHO = "echo"
    STORE = "store"
    FIND = "find"
    MOVE = "move"
    GET = "get"
    COMMITMENT = "commitment"
    """Report to us what it committed; a PACS always may."""


OF_ANYONE: Final = frozenset({Right.ECHO, Right.STORE, Right.COMMITMENT})
"""While no modality is listed: everyone may bring images, nobody takes any away."""
OF_UNKNOWN: Final = frozenset({Right.ECHO, Right.STORE})
OF_PACS: Final = frozenset({Right.ECHO, Right.STORE, Right.COMMITMENT})
OF_OURSELVES: Final = frozenset({Right.ECHO})
"""`lifeboat status` and `lifeboat check` ask our own port whether it answers."""

_VERIFICATION: Final = "1.2.840.10008.1.1"
_COMMITMENT_PUSH: Final = "1.2.840.10008.1.20.1"
_MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"
_QUERY_RETRIEVE_ROOT: Final = "1.2.840.10008.5.1.4.1.2."
_QUERY_RETRIEVE: Final = {"1": Right.FIND, "2": Right.MOVE, "3": Right.GET}


@dataclass(frozen=True, slots=True)
class Caller:
    """A peer that may open associations; `is_unknown` when only the switch lets it in."""

    name: str
    rights: frozenset[Right]
    is_unknown: bool = False


class Policy:
    """The rules of one node.

    Parameters
    ----------
    settings : Settings
        Its modalities, PACSs and own AE title.
    accepts_unknown : callable
        Tells whether unknown callers are accepted now; asked only about unknown callers.
    """

    def __init__(
        self, settings: Settings, accepts_unknown: Callable[[], bool] = lambda: False
    ) -> None:
        self._settings = settings
        self._accepts_unknown = accepts_unknown

    def rejection(self, request: AssociationRequest, address: str) -> Rejection | None:
        """Tell why a request is refused, if it is.

        Parameters
        ----------
        request : AssociationRequest
        address : str
            The IP address it comes from.

        Returns
        -------
        Rejection or None
        """
        dicom = self._settings.dicom
        if request.protocol_version != PROTOCOL_VERSION:
            return WRONG_PROTOCOL_VERSION
        if request.application_context_name != APPLICATION_CONTEXT_NAME:
            return WRONG_APPLICATION_CONTEXT
        if not request.has_valid_caller:
            return BAD_CALLING_AE_TITLE
        if dicom.check_called_ae_title and request.called_ae_title != dicom.ae_title.encode():
            return WRONG_CALLED_AE_TITLE
        caller = self.caller(request.calling_ae_title.decode("ascii"), address)
        return UNKNOWN_CALLER if caller is None else None

    def caller(self, calling_ae_title: str, address: str) -> Caller | None:
        """Return who that is to us; None when it may not open associations.

        Parameters
        ----------
        calling_ae_title : str
        address : str
            The IP address it comes from.

        Returns
        -------
        Caller or None
        """
        if not self._settings.modalities:
            return Caller("", OF_ANYONE)
        known = self._known(calling_ae_title, address)
        if known:
            rights = frozenset[Right]().union(*(caller.rights for caller in known))
            return Caller(known[0].name, rights)
        return Caller("", OF_UNKNOWN, is_unknown=True) if self._accepts_unknown() else None

    def _known(self, calling_ae_title: str, address: str) -> list[Caller]:
        settings = self._settings
        known = [
            Caller(modality.name, frozenset(map(Right, modality.rights)))
            for modality in settings.modalities
            if modality.ae_title.strip() == calling_ae_title and _is_from(modality, address)
        ]
        known += [
            Caller(pacs.name, OF_PACS)
            for pacs in settings.pacs
            if pacs.ae_title.strip() == calling_ae_title and _is_at(pacs, address)
        ]
        is_ours = settings.dicom.ae_title.strip() == calling_ae_title
        if is_ours and (_is_loopback(address) or address == settings.dicom.host):
            known.append(Caller("this node", OF_OURSELVES))
        return known


def right_needed(abstract_syntax: str) -> Right:
    """Return the right a presentation context needs.

    Parameters
    ----------
    abstract_syntax : str
        Storage classes, private ones and performed procedure steps all bring something in.

    Returns
    -------
    Right

    Examples
    --------
    >>> str(right_needed("1.2.840.10008.5.1.4.1.2.2.1")), str(right_needed("1.2.3"))
    ('find', 'store')
    """
    uid = UID(abstract_syntax)
    if uid == _VERIFICATION:
        return Right.ECHO
    if uid == _COMMITMENT_PUSH:
        return Right.COMMITMENT
    if uid == _MODALITY_WORKLIST:
        return Right.FIND
    if uid.startswith(_QUERY_RETRIEVE_ROOT):
        return _QUERY_RETRIEVE.get(uid.rpartition(".")[2], Right.FIND)
    return Right.STORE


def _is_from(modality: ModalitySettings, address: str) -> bool:
    if not modality.address:
        return True
    network = ipaddress.ip_network(modality.address, strict=False)
    return ipaddress.ip_address(address) in network


def _is_at(pacs: PacsSettings, address: str) -> bool:
    """Tell whether a PACS may call from there; one set up by name is known by its AE title."""
    if pacs.host == "localhost":
        return _is_loopback(address)
    try:
        return ipaddress.ip_address(pacs.host) == ipaddress.ip_address(address)
    except ValueError:
        return True  # nothing is looked up: in an outage the name server may be away too


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
