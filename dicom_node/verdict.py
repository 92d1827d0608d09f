"""What a probe found out about a PACS: how far it got, and in what condition the PACS is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Layer(IntEnum):
    """The steps of a probe, in their order; each proves a little more than the one before."""

    NAME = 1
    """Its name has an address."""
    CONNECT = 2
    """Its machine takes a TCP connection."""
    ASSOCIATION = 3
    """It accepts an association."""
    ECHO = 4
    """It answers C-ECHO."""
    FIND = 5
    """It answers a query."""
    STORE = 6
    """It takes an instance."""
    COMMITMENT = 7
    """It vouches for an instance: storage commitment, or a C-FIND where it offers none."""


class Condition(StrEnum):
    """The condition of a PACS."""

    HEALTHY = "healthy"
    """Everything that was tried worked."""
    UNREACHABLE = "unreachable"
    """No address, no route, or no answer from its machine."""
    REFUSING = "refusing"
    """Its machine answers, but it turns us away, or nobody listens on its port."""
    FROZEN = "frozen"
    """It accepts connections and stays silent."""
    CANNOT_STORE = "cannot-store"
    """It answers C-ECHO but takes no instance."""
    TRANSIENTLY_FULL = "transiently-full"
    """It says that it has no room for another association now."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a PACS is.

    `layer` is the last one that was tried; `words` say for people what was found there.
    `durations_ms` tells how long each layer took, by its name in small letters.
    """

    condition: Condition
    layer: Layer
    words: str
    durations_ms: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_healthy(self) -> bool:
        """Whether everything that was tried worked."""
        return self.condition is Condition.HEALTHY

    @property
    def has_answered_echo(self) -> bool:
        """Whether it answered C-ECHO, whatever came after."""
        return self.layer > Layer.ECHO or (self.layer is Layer.ECHO and self.is_healthy)


def stuck_at(layer: Layer) -> Verdict:
    """Return the verdict on a PACS whose probe had to be killed.

    Parameters
    ----------
    layer : Layer
        Where it hung.
    """
    if layer is Layer.NAME:
        words = "its name is not resolved, the name service is silent; set pacs.host to an address"
        return Verdict(Condition.UNREACHABLE, layer, words)
    if layer is Layer.CONNECT:
        return Verdict(Condition.UNREACHABLE, layer, "its machine does not answer")
    return Verdict(Condition.FROZEN, layer, SILENT_WORDS[layer])


SILENT_WORDS = {
    Layer.ASSOCIATION: "it accepts connections but stays silent",
    Layer.ECHO: "it accepted the association but does not answer C-ECHO",
    Layer.FIND: "it answers C-ECHO but stays silent when it is asked what it has",
    Layer.STORE: "it answers C-ECHO but stays silent when it is given an instance",
    Layer.COMMITMENT: "it stays silent when it is asked to commit",
}
"""What is said of a PACS that froze at a layer."""
