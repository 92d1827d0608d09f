"""What a request for storage commitment asks for."""

from collections.abc import Sequence

from pydicom.dataset import Dataset


def commitment_request(transaction_uid: str, instances: Sequence[tuple[str, str]]) -> Dataset:
    """Build the action information of the request (PS3.4 J.3.2.1.1).

    Parameters
    ----------
    transaction_uid : str
        (0008,1195), never used before.
    instances : sequence of (str, str)
        SOP Class UID and SOP Instance UID of each.

    Returns
    -------
    pydicom.dataset.Dataset
    """
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    return request
