"""The web room: pages, DICOMweb and the JSON API."""
