"""What can go wrong in the practice room, each kind with a stable code."""


class SampleDataError(Exception):
    """Base of the errors raised by `sample_data`.

    Attributes
    ----------
    code : str
        Stable, kebab-case name of the kind.
    """

    code: str = "sample-data-error"


class PortUnavailable(SampleDataError):
    """The practice PACS cannot listen on the address it was given."""

    code = "port-unavailable"


class BadAddress(SampleDataError):
    """A text is not of the form HOST:PORT."""

    code = "bad-address"
