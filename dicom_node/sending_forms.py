"""In which form instances go to a PACS: as they are, or decompressed where it takes only that."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.converter import CannotConvert, Converter
from dicom_node.courier import Courier
from dicom_node.outgoing_file import Damaged
from dicom_node.pacs import Pacs
from dicom_node.shipment import Outcome, Receipt, Shipment

CHUNK: Final = 8
"""Instances that are decompressed, sent and removed together."""
REMEMBERED_S: Final = 3600.0
"""How long it is believed that a PACS does not take a form, seconds."""

_FORMS: Final = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""In this order: the second loses the value representations of private elements."""
_NO_FORM: Final = "the PACS accepts this SOP class in no form we have"

Context = tuple[str, str]


class SendingForms:
    """The forms one PACS takes.

    Parameters
    ----------
    courier : Courier
    converter : Converter, optional
        Without one everything goes as it is.
    on_converted : callable
        Told the transfer syntaxes, from and to, and how many were stored so.
    monotonic : callable
    """

    def __init__(
        self,
        courier: Courier | Pacs,
        converter: Converter | None,
        on_converted: Callable[[str, str, int], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._courier = courier
        self._converter = converter
        self._on_converted = on_converted
        self._monotonic = monotonic
        self._refused: dict[Context, float] = {}
        self.sent_in: dict[int, str] = {}
        self._is_halted = False

    def forget(self) -> None:
        """Believe again that the PACS takes everything as it is."""
        self._refused = {}

    def halt(self) -> None:
        """Begin no other instance: what was not begun gets the receipt `NOT_SENT`."""
        self._is_halted = True
        self._courier.halt()

    def send(self, shipments: Sequence[Shipment]) -> Iterator[list[Receipt]]:
        """Send each instance in a form the PACS takes; see `Pacs.send_in_groups`.

        Afterwards `sent_in` holds the transfer syntax each one was sent in.
        """
        self.sent_in = {item.delivery_id: item.transfer_syntax_uid for item in shipments}
        self._is_halted = False
        now = self._monotonic()
        self._refused = {c: at for c, at in self._refused.items() if now - at < REMEMBERED_S}
        as_it_is = [item for item in shipments if item.context not in self._refused]
        others = {i.delivery_id: i for i in shipments if i.context in self._refused}
        by_id = {item.delivery_id: item for item in as_it_is}
        for group in self._courier.send_in_groups(as_it_is) if as_it_is else ():
            if self._converter is not None:
                others |= {r.delivery_id: by_id[r.delivery_id] for r in group if _is_refused(r)}
            yield [receipt for receipt in group if receipt.delivery_id not in others]
        if self._converter is not None and others:
            yield from self._send_converted(self._converter, list(others.values()))

    def _send_converted(
        self, converter: Converter, items: Sequence[Shipment]
    ) -> Iterator[list[Receipt]]:
        for context in dict.fromkeys(item.context for item in items):
            self._refused.setdefault(context, self._monotonic())
            of_context = [item for item in items if item.context == context]
            if self._is_halted:
                yield _not_sent(of_context)
                continue
            form = self._accepted_form(context)
            if form is None:
                del self._refused[context]  # refused altogether: that may be mended at any time
                yield [
                    Receipt(i.delivery_id, Outcome.NO_CONTEXT, None, _NO_FORM) for i in of_context
                ]
                continue
            yield from self._send_in_form(converter, of_context, context[1], form)

    def _accepted_form(self, context: Context) -> str | None:
        sop_class_uid, own = context
        proposed = [(sop_class_uid, form) for form in _FORMS if form != own]
        accepted = self._courier.accepted_contexts(proposed)
        return next((form for uid, form in proposed if (uid, form) in accepted), None)

    def _send_in_form(
        self, converter: Converter, items: Sequence[Shipment], own: str, form: str
    ) -> Iterator[list[Receipt]]:
        stored = 0
        for start in range(0, len(items), CHUNK):
            if self._is_halted:
                yield _not_sent(items[start:])
                break
            made, failed = self._convert(converter, items[start : start + CHUNK], form)
            if failed:
                yield failed
            try:
                for group in self._courier.send_in_groups(made) if made else ():
                    stored += sum(receipt.outcome is Outcome.STORED for receipt in group)
                    yield group
            finally:
                for item in made:
                    converter.discard(item)
        if stored:
            self._on_converted(own, form, stored)

    def _convert(
        self, converter: Converter, items: Sequence[Shipment], form: str
    ) -> tuple[list[Shipment], list[Receipt]]:
        made: list[Shipment] = []
        failed: list[Receipt] = []
        for item in items:
            try:
                made.append(converter.convert(item, form))
                self.sent_in[item.delivery_id] = form
            except Damaged:
                failed.append(Receipt(item.delivery_id, Outcome.UNREADABLE))
            except CannotConvert as error:
                words = f"the PACS does not take its transfer syntax, and: {error}"
                failed.append(Receipt(item.delivery_id, Outcome.NO_CONTEXT, None, words))
        return made, failed


def _not_sent(items: Sequence[Shipment]) -> list[Receipt]:
    return [Receipt(item.delivery_id, Outcome.NOT_SENT) for item in items]


def _is_refused(receipt: Receipt) -> bool:
    return receipt.outcome is Outcome.NO_CONTEXT
