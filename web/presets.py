"""The windows offered for CT: built in, or from a file that a site edits."""

import tomllib
from math import isfinite
from pathlib import Path
from typing import Any, Final

from dicom_node.errors import BadSettings

PRESETS: Final[tuple[dict[str, Any], ...]] = tuple(
    {"name": name, "width": width, "center": center, "key": key}
    for name, width, center, key in (
        ("Brain", 80, 40, "1"),
        ("Subdural", 200, 75, "2"),
        ("Stroke", 40, 40, "3"),
        ("Bone", 1800, 400, "4"),
        ("Lung", 1500, -600, "5"),
        ("Mediastinum", 350, 50, "6"),
        ("Abdomen", 400, 50, "7"),
        ("Liver", 150, 30, "8"),
        ("Angio", 600, 300, "9"),
        ("Temporal bone", 2800, 600, ""),
        ("Head-neck soft", 375, 40, ""),
        ("Spine soft", 250, 50, ""),
        ("Spine bone", 1800, 400, ""),
    )
)
"""CT windows in HU with their keys; offered only where modality values are HU."""
MOST_PRESETS: Final = 40
LONGEST_NAME: Final = 40
_KEYS: Final = frozenset("123456789")
_FIELDS: Final = frozenset(("name", "width", "center", "key"))


def read_presets(path: str) -> tuple[dict[str, Any], ...]:
    """Return the windows of a file.

    Parameters
    ----------
    path : str
        A TOML file with tables `[[preset]]`; "" for the built-in windows.

    Returns
    -------
    tuple of dict
        Each with `name`, `width`, `center` (HU) and `key` (a digit or "").

    Raises
    ------
    BadSettings
        The file cannot be read, or a preset in it makes no sense.
    """
    if not path:
        return PRESETS
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("preset", [])
    except (OSError, ValueError) as error:
        raise BadSettings(f"web.presets_file cannot be read: {error}") from error
    if not isinstance(tables, list) or not 0 < len(tables) <= MOST_PRESETS:
        raise BadSettings(f"web.presets_file must hold 1 to {MOST_PRESETS} tables [[preset]].")
    found = tuple(_preset(table, number) for number, table in enumerate(tables, 1))
    keys = [preset["key"] for preset in found if preset["key"]]
    names = [preset["name"] for preset in found]
    if len(set(keys)) < len(keys) or len(set(names)) < len(names):
        raise BadSettings("web.presets_file has a name or a key twice.")
    return found


def _preset(table: Any, number: int) -> dict[str, Any]:
    if not isinstance(table, dict) or not table.keys() <= _FIELDS:
        raise BadSettings(f"Preset {number} of web.presets_file may have {sorted(_FIELDS)} only.")
    name, key = table.get("name"), table.get("key", "")
    width, center = _number(table.get("width")), _number(table.get("center"))
    is_named = isinstance(name, str) and 0 < len(name.strip()) <= LONGEST_NAME
    if not is_named or width is None or width < 1 or center is None:
        raise BadSettings(
            f"Preset {number} of web.presets_file needs a short name, a width of 1 or more and a "
            "center."
        )
    if key != "" and key not in _KEYS:
        raise BadSettings(f"The key of preset {number} of web.presets_file must be 1 to 9.")
    return {"name": name, "width": width, "center": center, "key": key}


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and isfinite(value) and abs(value) <= 1e6 else None
