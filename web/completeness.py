"""Whether all images of a study are here: what is known, and who or what says so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dicom_node.index import ImageCount
from viewer.gaps import completeness
from web.confirmations import Confirmation
from web.words import counted, moment


@dataclass(frozen=True, slots=True)
class HeldSeries:
    """Images of one series that are here, how many the scanner counted, and numbers left out.

    `expected` is None where the scanner did not count, or contradicts itself.
    """

    here: int
    expected: int | None
    left_out: int

    @property
    def is_short(self) -> bool:
        """Whether the scanner counted more than are here."""
        return self.expected is not None and self.here < self.expected


@dataclass(frozen=True, slots=True)
class Completeness:
    """A state (`complete`, `incomplete` or `unknown`), the words for it, and what they rest on."""

    state: str
    words: str
    basis: str


def held_series(counts: Iterable[ImageCount]) -> HeldSeries:
    """Sum up what is here of one series.

    Parameters
    ----------
    counts : iterable of ImageCount
        Of that series.

    Returns
    -------
    HeldSeries
    """
    counts = list(counts)
    said = [
        (one.acquisition_number, one.images_in_acquisition)
        for one in counts
        for _ in range(one.number_of_images)
    ]
    found = completeness(said)
    return HeldSeries(found.here, found.expected, _left_out(counts))


def _left_out(counts: Sequence[ImageCount]) -> int:
    """Count numbers between the lowest and the highest that no image has.

    Where more are left out than used, or one is used twice, they are no count and say nothing.
    """
    firsts = [one.first_number for one in counts if one.first_number is not None]
    lasts = [one.last_number for one in counts if one.last_number is not None]
    here = sum(one.number_of_images for one in counts)
    if not firsts:
        return 0
    span = max(lasts) - min(firsts) + 1
    return span - here if here < span < 2 * here else 0


def completeness_of(
    held: Sequence[HeldSeries], confirmation: Confirmation | None, here: int, last_received_at: str
) -> Completeness:
    """Weigh what is known of a study.

    A scanner's count can show that images are missing, never that none are: a whole series may not
    have come. Only a person who looked at the scanner says that all are here, and only until
    anything else arrives. Where the two contradict each other, nobody is believed.

    Parameters
    ----------
    held : sequence of HeldSeries
        Its series.
    confirmation : Confirmation or None
        The last one that nobody took back.
    here : int
        Instances of the study that are here.
    last_received_at : str
        When the last of them arrived, ISO 8601 in UTC.

    Returns
    -------
    Completeness
    """
    short = [series for series in held if series.is_short]
    is_confirmed = confirmation is not None and confirmation.is_of(here, last_received_at)
    if confirmation is not None and is_confirmed and not short:
        return Completeness(
            "complete", f"Complete {here}/{here}", f"confirmed by {confirmation.by}"
        )
    if short:
        return _incomplete(short, confirmation if is_confirmed else None)
    if confirmation is not None and not is_confirmed:
        return Completeness("unknown", "Changed since confirmed", _changed(confirmation, here))
    return Completeness("unknown", "Completeness unknown", _hints(held))


def _incomplete(short: Sequence[HeldSeries], confirmation: Confirmation | None) -> Completeness:
    here = sum(series.here for series in short)
    expected = sum(series.expected or 0 for series in short)
    basis = f"the scanner counted {expected}"
    if len(short) > 1:
        basis += f" in {counted(len(short), 'series')}"
    if confirmation is not None:
        basis += f", yet {confirmation.by} confirmed what is here"
    return Completeness("incomplete", f"INCOMPLETE {here}/{expected}", basis)


def _changed(confirmation: Confirmation, here: int) -> str:
    before = confirmation.number_of_instances
    return (
        f"{confirmation.by} confirmed {counted(before, 'image')} at "
        f"{moment(confirmation.confirmed_at)}; now there are {here}"
    )


def _hints(held: Sequence[HeldSeries]) -> str:
    """Say what little is known where nothing proves anything."""
    if left_out := sum(series.left_out for series in held):
        return f"{counted(left_out, 'image number')} left out"
    if held and all(series.expected is not None for series in held):
        return "as many as the scanner counted; a series may be missing"
    return "no count known"
