"""The remote PACS as an object: probe it, ask what it holds, send, and have it commit.

Every method is one conversation on one association, and blocks. Peers can freeze past every
timeout of a socket, so `dicom_node.courier` runs these in a process that can be killed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
)

from dicom_node.answers import keep_answers
from dicom_node.errors import PeerRefused, PeerUnreachable
from dicom_node.fast_sender import FastSender
from dicom_node.in_hand import InHand
from dicom_node.index import CommitmentReport
from dicom_node.lanes import Lane, Lanes
from dicom_node.lent_association import lend
from dicom_node.pacs_probe import probe_pacs
from dicom_node.pacs_tls import tls_to
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.rate_cap import RateCap
from dicom_node.services.commitment import read_reports
from dicom_node.setting_tables import PacsSettings
from dicom_node.shipment import Outcome, Receipt, Shipment
from dicom_node.slow_start import SlowStart
from dicom_node.study_answer import StudyAnswer, read_study_answer, study_identifier
from dicom_node.study_search import (
    MOST_FOUND,
    FoundStudy,
    StudyKeys,
    found_study,
    search_identifier,
)
from dicom_node.transport import acknowledge_at_once
from dicom_node.trial_object import TrialObject
from dicom_node.verdict import Layer, Verdict
from dicom_node.worklist_search import (
    ScheduledStep,
    WorklistKeys,
    scheduled_step,
    worklist_identifier,
)

MAXIMUM_CONTEXTS: Final = 128
SLICE_S: Final = 1.0
"""How long sending or receiving blocks before it is looked at whether anything moves, seconds."""
SAME_ASSOCIATION_WAIT_S: Final = 0.5
"""How long a PACS may answer a commitment on the association that asked, seconds."""

ASKED_TOGETHER: Final = 20
"""Instances asked for in one query by their UIDs."""

MOST_CUT_QUERIES: Final = 2
"""So many in a row may be cut off and are asked again; who cuts off more takes no queries."""

_STUDY_ROOT: Final = StudyRootQueryRetrieveInformationModelFind
_PENDING: Final = (0xFF00, 0xFF01)
_REQUEST_COMMITMENT: Final = 1
_REJECTED_TRANSIENT: Final = 2


@dataclass(frozen=True, slots=True)
class CommitmentAnswer:
    """What a PACS said to a request for storage commitment.

    `is_supported` is False where it does not offer the service. `reports` came at once, on the
    same association; more may come later on another.
    """

    is_supported: bool
    reports: tuple[CommitmentReport, ...] = ()


class Pacs:
    """One remote PACS.

    Parameters
    ----------
    settings : PacsSettings
    our_ae_title : str
        How we call ourselves.
    on_progress : callable
        Called whenever something moved, however long the whole takes.
    in_hand : InHand, optional
        Told what is being sent.
    """

    def __init__(
        self,
        settings: PacsSettings,
        our_ae_title: str,
        on_progress: Callable[[], None] = lambda: None,
        in_hand: InHand | None = None,
    ) -> None:
        self._settings = settings
        self._our_ae_title = our_ae_title
        self._on_progress = on_progress
        self._slow_start = SlowStart(settings.associations)
        self._cap = RateCap(settings.max_images_per_s, settings.max_mbit_per_s, on_progress)
        self._in_hand = in_hand or InHand([0] * most_in_hand(settings))
        self._lanes: Lanes | None = None
        self._cut_queries = 0

    def probe(
        self,
        trial: TrialObject | None = None,
        on_layer: Callable[[Layer], None] = lambda layer: None,
    ) -> Verdict:
        """Find out layer by layer how it is; see `probe_pacs`."""
        return probe_pacs(self._settings, self._our_ae_title, trial=trial, on_layer=on_layer)

    def held_instances(self, study_instance_uid: str, series_instance_uid: str) -> set[str] | None:
        """Ask by C-FIND which instances of a series it holds.

        Returns
        -------
        set of str, or None
            SOP Instance UIDs; None where it offers no query or the query failed.

        Raises
        ------
        PeerUnreachable, PeerRefused
        """
        found = self._find(_instances_identifier(study_instance_uid, series_instance_uid))
        return None if found is None else _uids(found)

    def held_among(
        self, study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Sequence[str]
    ) -> set[str] | None:
        """Ask by C-FIND for certain instances of a series, by their UIDs.

        A list of a whole series may be cut short, and still end in success. Some are asked for
        together (PS3.4 C.2.2.2.2), few enough for any limit, and each that is not found by itself.

        Returns
        -------
        set of str, or None
            Those it has; None where it offers no query or one failed.

        Raises
        ------
        PeerUnreachable, PeerRefused
        """
        of_series = (study_instance_uid, series_instance_uid)
        held: set[str] = set()
        with self._association([build_context(_STUDY_ROOT)]) as association:
            if not association.accepted_contexts:
                return None
            for start in range(0, len(sop_instance_uids), ASKED_TOGETHER):
                some = sop_instance_uids[start : start + ASKED_TOGETHER]
                # one that knows no lists may answer them with a failure
                held |= _uids(self._matches(association, _instances_identifier(*of_series, some)))
                for uid in some:
                    if uid in held:
                        continue
                    found = self._matches(association, _instances_identifier(*of_series, [uid]))
                    if found is None:
                        return None
                    held |= _uids(found)
        return held.intersection(sop_instance_uids)

    def find_study(self, study_instance_uid: str) -> list[StudyAnswer] | None:
        """Ask by C-FIND under which identity it keeps a study, and how much of it.

        Returns
        -------
        list of StudyAnswer, or None
            Empty where it does not list it; None where it offers no query or the query failed.

        Raises
        ------
        PeerUnreachable, PeerRefused
        """
        found = self._find(study_identifier(study_instance_uid))
        if found is None:
            return None
        # some answer more than was asked for
        return [
            read_study_answer(item)
            for item in found
            if item.get("StudyInstanceUID", study_instance_uid) == study_instance_uid
        ]

    def find_scheduled(self, keys: WorklistKeys) -> list[ScheduledStep] | None:
        """Ask a modality worklist by C-FIND (PS3.4 Annex K), for at most `MOST_FOUND` steps.

        Returns
        -------
        list of ScheduledStep, or None
            None where it offers no worklist or the query failed.

        Raises
        ------
        PeerUnreachable, PeerRefused
        """
        identifier = worklist_identifier(keys)
        found = self._find(identifier, limit=MOST_FOUND, model=ModalityWorklistInformationFind)
        return None if found is None else [scheduled_step(match) for match in found]

    def _find(
        self,
        identifier: Dataset,
        limit: int = 0,
        model: UID = _STUDY_ROOT,
    ) -> list[Dataset] | None:
        with self._association([build_context(model)]) as association:
            if not association.accepted_contexts:
                return None
            return self._matches(association, identifier, limit, model)

    def _matches(
        self,
        association: Association,
        identifier: Dataset,
        limit: int = 0,
        model: UID = _STUDY_ROOT,
    ) -> list[Dataset] | None:
        """Return what matches, None when the query failed."""
        found: list[Dataset] = []
        if not association.is_established:
            raise PeerUnreachable("it ended the association between two queries")
        for status, match in association.send_c_find(identifier, model):
            self._on_progress()
            if "Status" not in status:
                self._cut_queries += 1
                if self._cut_queries > MOST_CUT_QUERIES:
                    return None
                raise PeerUnreachable("it did not answer the query")  # perhaps only the line broke
            self._cut_queries = 0
            code = status.Status
            if code in _PENDING and match is not None:
                found.append(match)
            elif code != 0:
                return None
            if limit and len(found) == limit:
                association.abort()
                break
        return found

    def accepted_contexts(self, proposed: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Ask which SOP classes it takes in which transfer syntaxes, without sending anything.

        Parameters
        ----------
        proposed : sequence of (str, str)
            SOP Class UID and Transfer Syntax UID; at most `MAXIMUM_CONTEXTS`.

        Raises
        ------
        PeerUnreachable, PeerRefused
        """
        with self._association([build_context(*pair) for pair in proposed]) as association:
            return {
                (str(context.abstract_syntax), str(context.transfer_syntax[0]))
                for context in association.accepted_contexts
            }

    def find_studies(self, keys: StudyKeys) -> list[FoundStudy] | None:
        """Ask by C-FIND for studies, at most `MOST_FOUND` of them.

        Returns
        -------
        list of FoundStudy, or None
            None where it offers no query or the query failed.

        Raises
        ------
        PeerUnreachable, PeerRefused
        """
        found = self._find(search_identifier(keys), limit=MOST_FOUND)
        return None if found is None else [found_study(match) for match in found]

    def send(self, shipments: Sequence[Shipment]) -> Iterator[Receipt]:
        """Send instances, and yield a receipt for each; see `send_in_groups`."""
        for group in self.send_in_groups(shipments):
            yield from group

    def send_in_groups(self, shipments: Sequence[Shipment]) -> Iterator[list[Receipt]]:
        """Send instances as they are stored, over as many associations as go well.

        Parameters
        ----------
        shipments : sequence of Shipment

        Yields
        ------
        list of Receipt
            One for each, as the answers come, those of a moment together.

        Raises
        ------
        PeerUnreachable, PeerRefused
            Nothing was sent.
        """
        proposed = list({item.context: None for item in shipments})[:MAXIMUM_CONTEXTS]
        others = [item for item in shipments if item.context not in proposed]
        lanes = Lanes(
            [item for item in shipments if item.context in proposed],
            lambda: self._lane(proposed),
            self._slow_start,
            self._in_hand,
        )
        self._lanes = lanes
        try:
            yield from lanes.receipts()
        finally:
            self._lanes = None
        if others:
            yield [Receipt(item.delivery_id, Outcome.NOT_SENT) for item in others]

    def halt(self) -> None:
        """Begin no other instance of those that are being sent: their receipts say `NOT_SENT`."""
        if self._lanes is not None:
            self._lanes.halt()

    @contextmanager
    def _lane(self, proposed: Sequence[tuple[str, str]]) -> Iterator[Lane]:
        """Open one association for sending."""
        answer_timeout_s = self._settings.answer_timeout_s
        with self._association([build_context(*pair) for pair in proposed]) as association:
            if not association.is_established and association.rejected_contexts:
                yield _Unaccepting()
                return
            with lend(association, min(SLICE_S, answer_timeout_s / 4)) as lent:
                yield FastSender(lent, answer_timeout_s, self._on_progress, self._cap)

    def request_commitment(
        self, transaction_uid: str, instances: Sequence[tuple[str, str]]
    ) -> CommitmentAnswer:
        """Ask it to take over responsibility for instances (PS3.4 Annex J).

        Parameters
        ----------
        transaction_uid : str
            (0008,1195), never used before.
        instances : sequence of (str, str)
            SOP Class UID and SOP Instance UID of each.

        Returns
        -------
        CommitmentAnswer

        Raises
        ------
        PeerUnreachable, PeerRefused
            It did not take the request.
        """
        reports: list[CommitmentReport] = []
        handlers: list[evt.EventHandlerType] = [(evt.EVT_N_EVENT_REPORT, _collect, [reports])]
        context = build_context(StorageCommitmentPushModel)
        with self._association([context], handlers) as association:
            if not association.accepted_contexts:
                return CommitmentAnswer(is_supported=False)
            status, _ = association.send_n_action(
                _commitment_request(transaction_uid, instances),
                _REQUEST_COMMITMENT,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
            if "Status" not in status:
                raise PeerUnreachable("it did not answer the commitment request")
            if status.Status != 0:
                raise PeerRefused(f"it refused the commitment request: {status.Status:04X}")
            _wait_for_reports(association, reports, len(instances))
        return CommitmentAnswer(is_supported=True, reports=tuple(reports))

    @contextmanager
    def _association(
        self, contexts: list[Any], handlers: list[evt.EventHandlerType] | None = None
    ) -> Iterator[Association]:
        entity = _entity(self._settings, self._our_ae_title)
        tls = tls_to(self._settings)
        rejections: list[A_ASSOCIATE_RJ] = []
        association = entity.associate(
            self._settings.host,
            self._settings.port,
            contexts,
            ae_title=self._settings.ae_title,
            # no name is None, which the library hands on though it does not say so
            tls_args=None if tls is None else (tls, cast(str, self._settings.tls_name or None)),
            evt_handlers=[
                (evt.EVT_CONN_OPEN, keep_answers),
                (evt.EVT_DATA_SENT, acknowledge_at_once),
                (evt.EVT_DATA_SENT, lambda event: self._on_progress()),
                (evt.EVT_PDU_RECV, _note_rejection, [rejections]),
                *(handlers or []),
            ],
        )
        if rejections:
            raise PeerRefused(_rejection(rejections[0]))
        if not association.is_established and not association.rejected_contexts:
            raise PeerUnreachable("no association: it cannot be reached or closed the connection")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def most_in_hand(settings: PacsSettings) -> int:
    """Return how many instances are being sent at once, at most."""
    return max(1, settings.associations)


def _entity(settings: PacsSettings, our_ae_title: str) -> AE:
    # switches of the library for the whole process: log no identifiers
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    entity = AE(ae_title=our_ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = settings.connect_timeout_s
    entity.acse_timeout = settings.connect_timeout_s
    entity.dimse_timeout = settings.answer_timeout_s
    entity.network_timeout = settings.answer_timeout_s
    entity.maximum_pdu_size = 131072
    return entity


class _Unaccepting:
    """What stands for an association with a PACS that takes nothing of what was proposed."""

    is_usable = True

    def send(self, item: Shipment) -> Receipt:
        return Receipt(item.delivery_id, Outcome.NO_CONTEXT)


def _instances_identifier(
    study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Sequence[str] = ()
) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = series_instance_uid
    identifier.SOPInstanceUID = list(sop_instance_uids) or ""
    return identifier


def _uids(found: Sequence[Dataset] | None) -> set[str]:
    return {str(item.get("SOPInstanceUID", "")) for item in found or ()}


def _commitment_request(transaction_uid: str, instances: Sequence[tuple[str, str]]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    return request


def _collect(event: evt.Event, reports: list[CommitmentReport]) -> tuple[int, None]:
    reports.extend(read_reports(event.event_information, ""))
    return 0x0000, None


def _wait_for_reports(
    association: Association, reports: list[CommitmentReport], wanted: int
) -> None:
    deadline = time.monotonic() + SAME_ASSOCIATION_WAIT_S
    while len(reports) < wanted and association.is_established and time.monotonic() < deadline:
        time.sleep(0.02)


def _note_rejection(event: evt.Event, rejections: list[A_ASSOCIATE_RJ]) -> None:
    """Keep a rejection as it comes in.

    The library closes the connection at once, and takes that for one that was never made when its
    other thread has not looked since.
    """
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def _rejection(pdu: A_ASSOCIATE_RJ) -> str:
    kind = "for now" if pdu.result == _REJECTED_TRANSIENT else "for good"
    try:
        reason = pdu.reason_str
    except ValueError:  # none of the standard's
        reason = f"source {pdu.source}, reason {pdu.reason_diagnostic}"
    return f"it rejected the association {kind}: {reason}"
