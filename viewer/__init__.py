"""The pixel room: stored values to what the eye sees. No Flask, no SQL, no network."""
