"""Settings: one TOML file, the environment and the command line into frozen dataclasses."""

import ipaddress
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from dicom_node.errors import BadSettings
from dicom_node.quiet_hours import QuietHours
from dicom_node.setting_tables import (
    DicomSettings,
    InboxSettings,
    ModalitySettings,
    ModeSettings,
    NodeSettings,
    PacsSettings,
    ScrubSettings,
    StorageSettings,
    SyncSettings,
    TlsSettings,
    WebSettings,
    WorklistSettings,
)

ENVIRONMENT_PREFIX: Final = "LIFEBOAT_"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one node.

    `sources` maps each `table.key` that is not a default to where it came from.
    """

    node: NodeSettings = field(default_factory=NodeSettings)
    dicom: DicomSettings = field(default_factory=DicomSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    modalities: tuple[ModalitySettings, ...] = ()
    pacs: tuple[PacsSettings, ...] = ()
    worklist: WorklistSettings = field(default_factory=WorklistSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    mode: ModeSettings = field(default_factory=ModeSettings)
    inbox: InboxSettings = field(default_factory=InboxSettings)
    scrub: ScrubSettings = field(default_factory=ScrubSettings)
    web: WebSettings = field(default_factory=WebSettings)
    sources: Mapping[str, str] = field(default_factory=dict)


TABLES: Final[dict[str, type]] = {
    "node": NodeSettings,
    "dicom": DicomSettings,
    "tls": TlsSettings,
    "modalities": ModalitySettings,
    "pacs": PacsSettings,
    "worklist": WorklistSettings,
    "storage": StorageSettings,
    "sync": SyncSettings,
    "mode": ModeSettings,
    "inbox": InboxSettings,
    "scrub": ScrubSettings,
    "web": WebSettings,
}

MINIMUM_JOURNAL_BYTES: Final = 1 << 20
MINIMUM_DECODE_BYTES: Final = 1 << 28
RIGHTS: Final = ("echo", "store", "find", "move", "get", "commitment")
_SEVERAL: Final = ("pacs", "modalities")
"""Tables that hold a table for each of several."""
_PROOFS: Final = ("auto", "commitment", "c-find")
_KINDS: Final[dict[Any, str]] = {
    bool: "true or false",
    tuple[str, ...]: "a list of words",
    tuple[float, ...]: "a list of numbers",
}
_Values = dict[str, tuple[Any, str]]  # "table.key" -> (value, source)


def load_settings(
    file: Path | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    overrides: Iterable[str] = (),
    data: Path | None = None,
) -> Settings:
    """Read settings: default < file < environment < command line.

    Parameters
    ----------
    file : Path, optional
        A TOML file.
    environment : mapping
        `LIFEBOAT_TABLE__KEY` variables are taken from here.
    overrides : iterable of str
        `table.key=value`, as given with `--set`.
    data : Path, optional
        The data folder, as given with `--data`.

    Returns
    -------
    Settings

    Raises
    ------
    BadSettings
        A file cannot be read, a key is unknown or a value has the wrong type. The message names
        the source, the table and the key.
    """
    values: _Values = {}
    if file is not None:
        values |= _from_file(file)
    values |= _from_environment(environment)
    for override in overrides:
        values |= _from_override(override)
    if data is not None:
        values["node.data"] = (str(data), "--data")
    return _build(values)


def table_keys() -> list[str]:
    """Return every known `table.key`, for documentation and tests."""
    return [f"{table}.{key.name}" for table, kind in TABLES.items() for key in fields(kind)]


def _from_file(file: Path) -> _Values:
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except OSError as exc:
        raise BadSettings(f"cannot read the settings file {file}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadSettings(f"{file} is not valid TOML: {exc}") from exc
    return dict(_flatten(document, str(file)))


def _flatten(document: Mapping[str, Any], source: str) -> Iterable[tuple[str, tuple[Any, str]]]:
    for table, content in document.items():
        if not isinstance(content, dict):
            raise BadSettings(f"{source}: '{table}' stands outside any table; see docs/settings.md")
        for key, value in content.items():
            if table in _SEVERAL and isinstance(value, dict):
                yield from ((f"{table}.{key}.{inner}", (v, source)) for inner, v in value.items())
            else:
                yield f"{table}.{key}", (value, source)


def _from_environment(environment: Mapping[str, str]) -> _Values:
    found: _Values = {}
    for name, value in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            found[key] = (value, name)
    return found


def _from_override(override: str) -> _Values:
    key, equals, value = override.partition("=")
    if not equals:
        raise BadSettings(f"--set {override}: write it as table.key=value")
    return {key.strip(): (value, f"--set {key.strip()}")}


def _build(values: _Values) -> Settings:
    parts: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    several: dict[str, dict[str, dict[str, Any]]] = {table: {} for table in _SEVERAL}
    for key, (value, source) in values.items():
        table, *rest = key.split(".")
        if table in _SEVERAL and len(rest) == 2:
            target, name = several[table].setdefault(rest[0], {"name": rest[0]}), rest[1]
        else:
            target, name = parts.get(table, {}), ".".join(rest)
        target[name] = _value(table, name, value, source)
    pacs = _all_pacs(parts.pop("pacs"), several["pacs"])
    modalities = _all_modalities(parts.pop("modalities"), several["modalities"])
    tables = {table: TABLES[table](**content) for table, content in parts.items()}
    sources = {key: source for key, (_, source) in values.items()}
    settings = Settings(**tables, pacs=pacs, modalities=modalities, sources=sources)
    _check(settings)
    return settings


def _all_pacs(
    single: dict[str, Any], several: dict[str, dict[str, Any]]
) -> tuple[PacsSettings, ...]:
    tables = ([single] if single.get("host") else []) + list(several.values())
    return tuple(
        PacsSettings(**{"decides_mode": position == 0} | table)
        for position, table in enumerate(tables)
    )


def _all_modalities(
    single: dict[str, Any], several: dict[str, dict[str, Any]]
) -> tuple[ModalitySettings, ...]:
    if single:
        raise BadSettings("write a table for each modality, with its name: [modalities.NAME]")
    return tuple(ModalitySettings(**table) for table in several.values())


def _value(table: str, name: str, value: Any, source: str) -> Any:
    if table not in TABLES:
        raise BadSettings(f"{source}: there is no table [{table}]; known: {', '.join(TABLES)}")
    known = {key.name: key.type for key in fields(TABLES[table])}
    if name not in known:
        raise BadSettings(f"{source}: [{table}] has no key '{name}'; known: {', '.join(known)}")
    return _convert(value, known[name], f"{source}: {table}.{name}")


def _convert(value: Any, kind: Any, where: str) -> Any:
    try:
        if kind is bool:
            return _boolean(value)
        if kind == tuple[str, ...]:
            return _words(value)
        if kind == tuple[float, ...]:
            return _numbers(value)
        if kind is Path:
            return Path(str(value)).expanduser()
        if isinstance(value, bool) or (isinstance(value, float) and kind is int):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError) as exc:
        name = _KINDS.get(kind) or f"of type {kind.__name__}"
        raise BadSettings(f"{where} must be {name}, not {value!r}") from exc


def _words(value: Any) -> tuple[str, ...]:
    words = value.replace(",", " ").split() if isinstance(value, str) else list(value)
    if not all(isinstance(word, str) for word in words):
        raise ValueError
    return tuple(words)


def _numbers(value: Any) -> tuple[float, ...]:
    parts = value.replace(",", " ").split() if isinstance(value, str) else list(value)
    if any(isinstance(part, bool) for part in parts):
        raise ValueError
    return tuple(float(part) for part in parts)


def _boolean(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError(word)
    return words[word]


def _check(settings: Settings) -> None:
    _check_ae_title(settings.dicom.ae_title, "dicom.ae_title")
    _check_port(settings.dicom.port, "dicom.port")
    _check_port(settings.web.port, "web.port")
    _check_port(settings.tls.port, "tls.port")
    for modality in settings.modalities:
        _check_modality(modality)
    for pacs in settings.pacs:
        _check_pacs(pacs)
    _check_worklist(settings.worklist)
    if 0 < settings.storage.journal_bytes < MINIMUM_JOURNAL_BYTES:
        raise BadSettings("storage.journal_bytes must be 0, or at least 1 MiB (1048576)")
    if settings.scrub.bytes_per_s <= 0:
        raise BadSettings("scrub.bytes_per_s must be more than 0; scrub.enabled=false turns it off")
    _check_decoding(settings.web)
    for name in ("retry_min_s", "retry_max_s", "probe_interval_s"):
        if getattr(settings.sync, name) <= 0:
            raise BadSettings(f"sync.{name} must be more than 0 seconds")
    if min(settings.sync.object_waits_s, default=1) <= 0:
        raise BadSettings("sync.object_waits_s must be more than 0 seconds each")
    if settings.sync.reverify_interval_s < 0:
        raise BadSettings("sync.reverify_interval_s must be seconds; 0 is never")
    _check_mode(settings.mode, settings.pacs)


def _check_pacs(pacs: PacsSettings) -> None:
    _check_ae_title(pacs.ae_title, f"pacs.{pacs.name}.ae_title")
    _check_port(pacs.port, f"pacs.{pacs.name}.port")
    if pacs.proof not in _PROOFS:
        raise BadSettings(f"pacs.proof must be one of {', '.join(_PROOFS)}")
    if pacs.associations < 1:
        raise BadSettings(f"pacs.{pacs.name}.associations must be at least 1")
    QuietHours(pacs.quiet_hours)
    if pacs.tls_certificate and not pacs.tls_ca:
        raise BadSettings(f"pacs.{pacs.name}.tls_ca is missing: without it there is no TLS")
    if min(pacs.max_images_per_s, pacs.max_mbit_per_s) < 0:
        raise BadSettings(f"pacs.{pacs.name}: a rate cannot be less than 0; 0 is no limit")


def _check_worklist(worklist: WorklistSettings) -> None:
    _check_ae_title(worklist.ae_title, "worklist.ae_title")
    _check_port(worklist.port, "worklist.port")
    if worklist.tls_certificate and not worklist.tls_ca:
        raise BadSettings("worklist.tls_ca is missing: without it there is no TLS")


def _check_decoding(web: WebSettings) -> None:
    if web.decode_workers < 1 or web.decode_timeout_s < 1:
        raise BadSettings("web.decode_workers and web.decode_timeout_s must be at least 1")
    if web.decode_memory_bytes < MINIMUM_DECODE_BYTES:
        raise BadSettings("web.decode_memory_bytes must be at least 256 MiB (268435456)")
    if web.cache_bytes < 0:
        raise BadSettings("web.cache_bytes must be 0 or more")
    if min(web.idle_s, web.idle_theatre_s) < 0:
        raise BadSettings("web.idle_s and web.idle_theatre_s must be 0 seconds or more")


def _check_modality(modality: ModalitySettings) -> None:
    where = f"modalities.{modality.name}"
    _check_ae_title(modality.ae_title, f"{where}.ae_title")
    if not set(modality.rights) <= set(RIGHTS):
        raise BadSettings(f"{where}.rights may hold {', '.join(RIGHTS)}")
    try:
        ipaddress.ip_network(modality.address or "0.0.0.0", strict=False)
    except ValueError as exc:
        raise BadSettings(f"{where}.address must be an IP address or network, no name") from exc


def _check_ae_title(title: str, where: str) -> None:
    if not title.strip() or len(title) > 16 or "\\" in title or not title.isprintable():
        raise BadSettings(f"{where} must have 1 to 16 characters and no backslash")


def _check_port(port: int, where: str) -> None:
    if not 0 <= port <= 65535:
        raise BadSettings(f"{where} must be between 0 and 65535, not {port}")


def _check_mode(mode: ModeSettings, all_pacs: tuple[PacsSettings, ...]) -> None:
    for pacs in all_pacs:
        if pacs.probe_timeout_s <= 0:
            raise BadSettings(f"pacs.{pacs.name}.probe_timeout_s must be more than 0 seconds")
    if all_pacs and not any(pacs.decides_mode for pacs in all_pacs):
        raise BadSettings("set pacs.NAME.decides_mode for the PACS whose loss is an outage")
    for name in ("failures_to_suspect", "answers_to_recover"):
        if getattr(mode, name) < 1:
            raise BadSettings(f"mode.{name} must be at least 1")
    if mode.outage_after_s < 0 or mode.hook_timeout_s <= 0:
        raise BadSettings("mode.outage_after_s and mode.hook_timeout_s must be seconds")
    if mode.hook_url and not mode.hook_url.startswith(("http://", "https://")):
        raise BadSettings("mode.hook_url must begin with http:// or https://")
