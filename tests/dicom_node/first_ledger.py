"""A ledger as the first version of Lifeboat wrote it. This never changes."""

import sqlite3
from contextlib import closing
from pathlib import Path

TABLES = """
CREATE TABLE about (key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key));
CREATE TABLE destinations (
 name TEXT NOT NULL, ae_title TEXT DEFAULT '' NOT NULL, host TEXT DEFAULT '' NOT NULL,
 port INTEGER NOT NULL, is_reachable BOOLEAN, probed_at TEXT DEFAULT '' NOT NULL,
 changed_at TEXT DEFAULT '' NOT NULL, detail TEXT DEFAULT '' NOT NULL, PRIMARY KEY (name));
CREATE TABLE deliveries (
 delivery_id INTEGER NOT NULL, destination TEXT DEFAULT '' NOT NULL,
 study_instance_uid TEXT DEFAULT '' NOT NULL, series_instance_uid TEXT DEFAULT '' NOT NULL,
 sop_instance_uid TEXT DEFAULT '' NOT NULL, sop_class_uid TEXT DEFAULT '' NOT NULL,
 transfer_syntax_uid TEXT DEFAULT '' NOT NULL, path TEXT DEFAULT '' NOT NULL,
 digest TEXT DEFAULT '' NOT NULL, state TEXT DEFAULT '' NOT NULL,
 attempts INTEGER DEFAULT '0' NOT NULL, queued_at TEXT DEFAULT '' NOT NULL,
 sent_at TEXT DEFAULT '' NOT NULL, stored_at TEXT DEFAULT '' NOT NULL,
 proven_at TEXT DEFAULT '' NOT NULL, proof TEXT DEFAULT '' NOT NULL,
 transaction_uid TEXT DEFAULT '' NOT NULL, next_attempt_at TEXT DEFAULT '' NOT NULL,
 last_status INTEGER, last_error TEXT DEFAULT '' NOT NULL,
 PRIMARY KEY (delivery_id), UNIQUE (destination, sop_instance_uid, digest));
CREATE INDEX deliveries_study ON deliveries (study_instance_uid);
CREATE INDEX deliveries_state ON deliveries (destination, state);
CREATE TABLE commitments (
 transaction_uid TEXT NOT NULL, destination TEXT DEFAULT '' NOT NULL,
 requested_at TEXT DEFAULT '' NOT NULL, PRIMARY KEY (transaction_uid));
CREATE TABLE commitment_items (
 transaction_uid TEXT NOT NULL, delivery_id INTEGER NOT NULL,
 sop_instance_uid TEXT DEFAULT '' NOT NULL, PRIMARY KEY (transaction_uid, delivery_id));
CREATE TABLE events (
 event_id INTEGER NOT NULL, at TEXT DEFAULT '' NOT NULL, kind TEXT DEFAULT '' NOT NULL,
 destination TEXT DEFAULT '' NOT NULL, detail TEXT DEFAULT '' NOT NULL, PRIMARY KEY (event_id));
"""
NAMES = ("about", "destinations", "deliveries", "commitments", "commitment_items", "events")
STATES = ("queued", "sending", "stored", "proven", "held", "attention")


def write_first_ledger(path: Path, deliveries: int) -> None:
    """Write a ledger of the first version: instances in every state, thirty to a study."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(TABLES)
        connection.execute("INSERT INTO about VALUES ('instance_id', '17'), ('schema', '1')")
        connection.execute("INSERT INTO destinations (name, port) VALUES ('pacs', 104)")
        connection.executemany(
            "INSERT INTO deliveries (destination, study_instance_uid, sop_instance_uid, digest,"
            " state, queued_at, last_status) VALUES ('pacs', ?, ?, ?, ?, ?, ?)",
            (
                (f"1.2.{n // 30}", f"1.2.3.{n}", f"{n:064x}", STATES[n % 6], f"2026-{n}", n % 2)
                for n in range(deliveries)
            ),
        )
        connection.execute("INSERT INTO commitments VALUES ('1.9', 'pacs', '2026')")
        connection.execute("INSERT INTO commitment_items VALUES ('1.9', 1, '1.2.3.0')")
        connection.execute("INSERT INTO events (at, kind) VALUES ('2026', 'mode_outage')")


def content(path: Path) -> dict[str, list[tuple]]:
    """Read the columns the first version had, of every row; the version apart."""
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(":memory:")) as old:
        old.executescript(TABLES)
        found = {}
        for name in NAMES:
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({name})"))
            rows = connection.execute(f"SELECT {columns} FROM {name} ORDER BY rowid").fetchall()
            found[name] = [row for row in rows if row[0] != "schema"]
        return found


def version(path: Path) -> str:
    """Read the version of a ledger."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT value FROM about WHERE key = 'schema'").fetchone()[0]
