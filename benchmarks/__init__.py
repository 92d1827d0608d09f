"""Side-by-side measurements against real peers; see README.md. Never part of the test suite."""
