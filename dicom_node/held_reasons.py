"""Why an instance is held back, in words: the ledger keeps them, and a few decide by them."""

from typing import Final

TWO_CONTENTS: Final = "the same SOP Instance UID exists with other bytes; a person must decide"
SPLITS: Final = (
    "the PACS holds this study under another patient: sent with this correction it would be split "
    "in two; a person must decide, see Reconcile"
)
KEEPS_OLD: Final = (
    "the PACS holds part of this study under another identity and would keep it; "
    "a person must decide, see Reconcile"
)
ANOTHER_PATIENT: Final = "the image names a patient the correction was not made for"
NOT_REWRITTEN: Final = "the image cannot be rewritten with the correction"
READS_OTHERWISE: Final = "the corrected copy does not read as it should"
NEVER_SENT: Final = "its correction is not in force any more: undo the reissue, or correct it anew"

FOR_A_CORRECTION: Final = (SPLITS, KEEPS_OLD, ANOTHER_PATIENT, NOT_REWRITTEN, READS_OTHERWISE)
"""What is held so goes again when its correction is undone, or when a person says so."""
GOES_WHEN_ORDERED: Final = (*FOR_A_CORRECTION, NEVER_SENT)
"""What a person may order to be sent once more."""
