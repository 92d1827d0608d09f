"""What a scanner said it made: the only evidence that images are missing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NamedImages:
    """The SOP Instance UIDs a scanner named for one study, and in what (`mpps`, `commitment`)."""

    basis: str
    sop_instance_uids: frozenset[str]


def named_images(study_instance_uid: str) -> NamedImages | None:
    """Return what a scanner named for a study.

    Parameters
    ----------
    study_instance_uid : str

    Returns
    -------
    NamedImages or None
        None when no scanner sent a list. The node does not serve MPPS or storage commitment to
        scanners yet, so there never is one: nobody can say then that nothing is missing.
    """
    assert study_instance_uid
    return None
