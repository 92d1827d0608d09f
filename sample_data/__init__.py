"""Phantom patients made by code, a practice scanner and a practice PACS."""
