"""Wildcard matching (PS3.4 section C.2.2.2.4) in time proportional to text times pattern."""


def matches_wildcards(text: str, pattern: str) -> bool:
    """Return whether a whole text matches a pattern of `*` (any run) and `?` (any one character).

    No backtracking over more than the last `*`, so that no pattern can hold the node up.

    Parameters
    ----------
    text : str
        The text.
    pattern : str
        The pattern.

    Returns
    -------
    bool
    """
    at, position, star, resume = 0, 0, -1, 0
    while at < len(text):
        wanted = pattern[position : position + 1]
        if wanted == "*":
            star, resume = position, at
            position += 1
        elif wanted in ("?", text[at]) and wanted:
            at, position = at + 1, position + 1
        elif star >= 0:
            resume += 1
            at, position = resume, star + 1
        else:
            return False
    return not pattern[position:].strip("*")
