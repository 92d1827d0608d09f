"""DICOM values in the words people read: names, dates, ages, numbers. Pure functions."""

import re
from datetime import date, datetime

NOT_KNOWN = "Not known"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SEXES = {"M": "Male", "F": "Female", "O": "Other"}


def person_name(value: str) -> str:
    """Return a person's name as "FAMILY, Given (Title)".

    Parameters
    ----------
    value : str
        A PN value (PS3.5 section 6.2.1.1): family^given^middle^prefix^suffix, groups parted by =.

    Returns
    -------
    str
        The first group that holds a name; "Not known" when none does.
    """
    for group in value.split("="):
        parts = [part.strip() for part in group.split("^")] + [""] * 5
        if any(parts):
            return _joined_name(parts)
    return NOT_KNOWN


def _joined_name(parts: list[str]) -> str:
    family, given, middle, prefix, suffix = parts[:5]
    rest = " ".join(filter(None, (_softened(given), _softened(middle), suffix)))
    name = ", ".join(filter(None, (family.upper(), rest)))
    return f"{name} ({_softened(prefix)})" if prefix else name


def _softened(name: str) -> str:
    """Write a name in capitals with one capital a word, so that the family name stands out."""
    return name.title() if name.isupper() else name


def calendar_date(value: str) -> str:
    """Return a DA value as "14-Jul-1945".

    Parameters
    ----------
    value : str
        YYYYMMDD; the older YYYY.MM.DD is read too (PS3.5 section 6.2).

    Returns
    -------
    str
        "Not known" when empty; what is not a date is returned as it stands.
    """
    day = parse_date(value)
    if day is None:
        return value.strip() or NOT_KNOWN
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year:04d}"


def parse_date(value: str) -> date | None:
    """Return a DA value as a date, or None when it is none.

    Parameters
    ----------
    value : str
        YYYYMMDD or YYYY.MM.DD.

    Returns
    -------
    date or None
    """
    match = re.fullmatch(r"(\d{4})\.?(\d\d)\.?(\d\d)", value.strip(), re.ASCII)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def clock_time(value: str) -> str:
    """Return a TM value as "14:05", or "" when it is none.

    Parameters
    ----------
    value : str
        HHMMSS.FFFFFF, shortened from the right, or the older HH:MM:SS.

    Returns
    -------
    str
    """
    match = re.match(r"([01]\d|2[0-3]):?([0-5]\d)", value.strip(), re.ASCII)
    return f"{match[1]}:{match[2]}" if match else ""


def born(value: str, today: date) -> str:
    """Return a birth date with the age in years: "14-Jul-1945 (71y)".

    Parameters
    ----------
    value : str
        Patient's Birth Date (0010,0030).
    today : date
        The day the age is counted on.

    Returns
    -------
    str
    """
    day = parse_date(value)
    if day is None or day > today:
        return calendar_date(value)
    years = today.year - day.year - ((today.month, today.day) < (day.month, day.day))
    return f"{calendar_date(value)} ({years}y)"


def sex(value: str) -> str:
    """Return Patient's Sex (0010,0040) in a word.

    Parameters
    ----------
    value : str
        M, F or O.

    Returns
    -------
    str
    """
    return _SEXES.get(value.strip().upper(), NOT_KNOWN)


def patient_number(value: str) -> tuple[str, str]:
    """Return the label and the grouped digits of a Patient ID (0010,0020).

    Ten digits with a valid modulus 11 check digit are an NHS number and are shown 3-3-4.

    Parameters
    ----------
    value : str
        The Patient ID.

    Returns
    -------
    tuple of str
        Label and value.
    """
    digits = value.replace(" ", "")
    if is_nhs_number(digits):
        return "NHS No.", f"{digits[:3]} {digits[3:6]} {digits[6:]}"
    return "Patient ID", value.strip() or NOT_KNOWN


def is_nhs_number(digits: str) -> bool:
    """Return whether ten digits carry the modulus 11 check digit of an NHS number.

    Parameters
    ----------
    digits : str
        The candidate, without spaces.

    Returns
    -------
    bool
    """
    if not re.fullmatch(r"\d{10}", digits, re.ASCII):
        return False
    total = sum(
        int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)
    )
    return (11 - total % 11) % 11 == int(digits[9])


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 series", "3 images", "2 studies".

    Parameters
    ----------
    number : int
        How many.
    noun : str
        In the singular.

    Returns
    -------
    str
    """
    if number == 1 or noun.endswith("s"):
        return f"{number} {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def elapsed(seconds: float) -> str:
    """Return a time span in its largest unit: "12 s", "4 min", "3 h", "2 d".

    Parameters
    ----------
    seconds : float
        The span; below zero counts as zero.

    Returns
    -------
    str
    """
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= 2 * size or (whole >= size and size > 60):
            return f"{whole // size} {unit}"
    return f"{whole} s"


def moment(value: str) -> str:
    """Return a point in time in the node's own time zone: "12-Apr 14:05:09".

    Parameters
    ----------
    value : str
        ISO 8601; "" gives "".

    Returns
    -------
    str
    """
    if not value:
        return ""
    local = datetime.fromisoformat(value).astimezone()
    return f"{local.day:02d}-{_MONTHS[local.month - 1]} {local:%H:%M:%S}"


def size(number_of_bytes: int) -> str:
    """Return a size in its largest unit: "512 bytes", "1.5 MB".

    Parameters
    ----------
    number_of_bytes : int
        The size.

    Returns
    -------
    str
    """
    for unit_bytes, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number_of_bytes >= unit_bytes:
            return f"{number_of_bytes / unit_bytes:.1f} {unit}"
    return counted(number_of_bytes, "byte")
