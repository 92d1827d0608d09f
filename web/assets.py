"""Scripts, styles and icons as browsers get them: packed once, and kept by their version."""

import hashlib
import mimetypes
import re
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from web.program import program_version

FOLDER: Final = Path(__file__).with_name("static")
FOR_EVER: Final = "public, max-age=31536000, immutable"
"""They hold nothing of patients, so any cache may keep them."""
GZIP_WINDOW_BITS: Final = 31
EXTENSION: Final = "assets"
_MODULE_TYPE: Final = "text/javascript"
_IMPORTED: Final = re.compile(r'^(?:import|\}) .*?from "\./([a-z_]+\.js)";$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file; `packed` is it in gzip."""

    content_type: str
    plain: bytes
    packed: bytes


@dataclass(frozen=True, slots=True)
class InPage:
    """Styles or a script that stand in a page itself; `source` names them in its policy."""

    text: Markup
    source: str


class Assets:
    """All files of a folder, in memory.

    Parameters
    ----------
    folder : Path
        Read whole.
    """

    def __init__(self, folder: Path) -> None:
        self.files = dict(_read(folder))

    def answer(self, name: str, *, is_packed: bool) -> Response:
        """Answer with one file.

        Parameters
        ----------
        name : str
            Its path in the folder.
        is_packed : bool
            Whether the client takes gzip.

        Returns
        -------
        Response

        Raises
        ------
        werkzeug.exceptions.NotFound
            There is no such file.
        """
        asset = self.files.get(name)
        if asset is None:
            raise NotFound
        answer = Response(asset.packed if is_packed else asset.plain)
        answer.headers["Content-Type"] = asset.content_type
        answer.headers["Vary"] = "Accept-Encoding"
        if is_packed:
            answer.headers["Content-Encoding"] = "gzip"
        return answer

    def in_page(self, *names: str) -> InPage:
        """Return files one after the other, for a page that cannot wait for them.

        Parameters
        ----------
        *names : str
            Their paths in the folder.

        Returns
        -------
        InPage
        """
        plain = b"".join(self.files[name].plain for name in names)
        digest = b64encode(hashlib.sha256(plain).digest()).decode("ascii")
        return InPage(Markup(plain.decode()), f"'sha256-{digest}'")

    def modules_of(self, name: str) -> list[str]:
        """Return a script and all that it imports, so that a page can ask for them at once.

        Parameters
        ----------
        name : str
            Its path in the folder.

        Returns
        -------
        list of str
        """
        found = [name]
        for module in found:
            folder = module.rpartition("/")[0]
            imported = _IMPORTED.findall(self.files[module].plain.decode())
            found += sorted({f"{folder}/{one}" for one in imported}.difference(found))
        return found


def install(app: Flask, folder: Path = FOLDER) -> Assets:
    """Serve a folder below `/static/v-<version>/`, and below `/static/` for addresses without one.

    The version is that of the program: an address never means other bytes, and the modules of one
    page are never of two versions.

    Parameters
    ----------
    app : Flask
        Made without a static folder of its own.
    folder : Path, optional
        What is served.

    Returns
    -------
    Assets
    """
    current = program_version()  # before the files are read: never a newer version with older files
    assets = Assets(folder)
    app.extensions[EXTENSION] = assets

    def static(filename: str, version: str = "") -> ResponseReturnValue:
        is_packed = request.accept_encodings.quality("gzip") > 0
        answer = assets.answer(filename, is_packed=is_packed)
        is_ours = version == current
        answer.headers["Cache-Control"] = FOR_EVER if is_ours else "no-cache"
        return answer

    app.add_url_rule("/static/<path:filename>", "plain_static", static)
    app.add_url_rule("/static/v-<version>/<path:filename>", "static", static)

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, str]) -> None:
        if endpoint == "static":
            values.setdefault("version", current)

    @app.context_processor
    def modules() -> dict[str, Callable[[str], list[str]]]:
        return {"modules_of": assets.modules_of}

    return assets


def _read(folder: Path) -> Iterator[tuple[str, Asset]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            plain = path.read_bytes()
            guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            content_type = _MODULE_TYPE if path.suffix == ".js" else guessed
            is_text = content_type.startswith("text/")
            named = f"{content_type}; charset=utf-8" if is_text else content_type
            yield path.relative_to(folder).as_posix(), Asset(named, plain, _packed(plain))


def _packed(plain: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=GZIP_WINDOW_BITS)
    return packer.compress(plain) + packer.flush()
