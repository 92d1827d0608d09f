"""A radiographer's word that all images of a study are here, kept in desk.sqlite."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from dicom_node.database import text_column
from dicom_node.desk_file import open_desk, read_desk
from web import json_bodies
from web.context import WebContext, current
from web.errors import BadParameter, NotFound, OutOfDate

blueprint = Blueprint("confirmations", __name__, url_prefix="/api/v1")

LONGEST_NAME: Final = 64
SHORTEST_NAME: Final = 2

metadata = sa.MetaData()
confirmations = sa.Table(
    "image_confirmations",
    metadata,
    sa.Column("confirmation_id", sa.Integer, primary_key=True),
    text_column("study_instance_uid", index=True),
    text_column("confirmed_by"),
    text_column("confirmed_at"),
    sa.Column("number_of_instances", sa.Integer, nullable=False),
    text_column("last_received_at"),
    text_column("taken_back_by"),
    text_column("taken_back_at"),
)
"""Rows are added and taken back, never deleted: who said what, and when, stays."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Who said that so many instances are all of a study; times ISO 8601 in UTC.

    `last_received_at` is when the last of them had arrived.
    """

    study_instance_uid: str
    by: str
    confirmed_at: str
    number_of_instances: int
    last_received_at: str

    def is_of(self, here: int, last_received_at: str) -> bool:
        """Tell whether a study is still what was confirmed: as many, and nothing since."""
        return here == self.number_of_instances and last_received_at <= self.last_received_at


class Confirmations:
    """The reading side.

    Parameters
    ----------
    data : Path
        The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._database = read_desk(data, metadata)

    def of(self, study_instance_uids: Sequence[str]) -> dict[str, Confirmation]:
        """Return the last confirmation of each study that has one nobody took back."""
        row = confirmations.c
        statement = (
            sa.select(confirmations)
            .where(row.study_instance_uid.in_(study_instance_uids), row.taken_back_at == "")
            .order_by(row.confirmation_id)
        )
        return {
            found["study_instance_uid"]: Confirmation(
                study_instance_uid=found["study_instance_uid"],
                by=found["confirmed_by"],
                confirmed_at=found["confirmed_at"],
                number_of_instances=found["number_of_instances"],
                last_received_at=found["last_received_at"],
            )
            for found in self._database.rows(statement)
        }


@blueprint.post("/studies/<uid:study>/confirmation")
def confirm(study: str) -> ResponseReturnValue:
    """Keep that somebody says all images are here; refuse it when others have come meanwhile."""
    context = current()
    body = json_bodies.read({"confirmed_by": str, "number_of_instances": int})
    record = context.index.study(study)
    if record is None:
        raise NotFound("This node does not hold that study.")
    if body["number_of_instances"] != record.number_of_study_related_instances:
        raise OutOfDate("The number of images has changed. Look at the study again.")
    row = {
        "study_instance_uid": study,
        "confirmed_by": name_of_person(body["confirmed_by"]),
        "confirmed_at": context.now_text(),
        "number_of_instances": record.number_of_study_related_instances,
        "last_received_at": record.last_received_at,
    }
    return write(context, confirmations.insert().values(row))


@blueprint.post("/studies/<uid:study>/confirmation/taken-back")
def take_back(study: str) -> ResponseReturnValue:
    """Keep that somebody takes back what was confirmed."""
    context = current()
    body = json_bodies.read({"taken_back_by": str})
    taken_back = {
        "taken_back_by": name_of_person(body["taken_back_by"]),
        "taken_back_at": context.now_text(),
    }
    row = confirmations.c
    statement = (
        confirmations.update()
        .where(row.study_instance_uid == study, row.taken_back_at == "")
        .values(taken_back)
    )
    return write(context, statement)


def write(context: WebContext, statement: sa.Insert | sa.Update) -> Response:
    """Change the desk, which survives a power cut from then on.

    Parameters
    ----------
    context : WebContext
        Names the data folder.
    statement : sqlalchemy.Insert or sqlalchemy.Update
        The change.

    Returns
    -------
    flask.Response
    """
    desk = open_desk(context.settings.node.data, metadata)
    try:
        with desk.begin() as connection:
            changed = connection.execute(statement).rowcount
    finally:
        desk.dispose()
    return jsonify(changed=changed)


def name_of_person(text: str) -> str:
    """Return a name or initials as they were typed, without spaces around them.

    Parameters
    ----------
    text : str
        What was typed.

    Returns
    -------
    str

    Raises
    ------
    BadParameter
        It is empty, one character, very long, or cannot be printed.
    """
    name = " ".join(text.split())
    if not (SHORTEST_NAME <= len(name) <= LONGEST_NAME and name.isprintable()):
        raise BadParameter(f"Write a name or initials, {SHORTEST_NAME} to {LONGEST_NAME} letters.")
    return name
