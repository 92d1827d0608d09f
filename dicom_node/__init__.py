"""The DICOM room: receive, keep, index, answer and send back. Knows no pixels."""
