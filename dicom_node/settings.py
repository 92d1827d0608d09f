"""Settings: one TOML file, the environment and the command line into frozen dataclasses."""

import ipaddress
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from dicom_node.errors import BadSettings

ENVIRONMENT_PREFIX: Final = "LIFEBOAT_"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Table `[node]`: who this node is and where it keeps things."""

    name: str = "Lifeboat"
    """Shown on every page, so that people know which node they look at."""
    data: Path = Path("lifeboat-data")
    """The data folder: instances, index, ledger, quarantine, inbox."""


@dataclass(frozen=True, slots=True)
class DicomSettings:
    """Table `[dicom]`: the port scanners send to."""

    ae_title: str = "LIFEBOAT"
    """Our application entity title, at most 16 characters."""
    host: str = "127.0.0.1"
    """Address to listen on. Set the address of the scanner network to be reached by scanners."""
    port: int = 11112
    """TCP port to listen on."""
    check_called_ae_title: bool = True
    """Refuse senders that call another AE title than ours."""
    maximum_associations: int = 200
    """Associations served at the same time, three quarters of them from one address; more are
    refused as transient."""
    maximum_waiting_per_address: int = 128
    """Connections of one address that may wait without having asked for an association; beyond it
    the oldest of them is closed."""
    maximum_pdu_size: int = 131072
    """Largest PDU we offer to receive, bytes."""
    maximum_object_bytes: int = 4 * 1024**3
    """Largest data set that is accepted, bytes."""
    idle_timeout_s: float = 60.0
    """Silence on an association after which it is ended, seconds."""
    drain_timeout_s: float = 18.0
    """How long running associations may finish after a request to stop, seconds."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Table `[tls]`: a second DICOM port, encrypted, beside the plain one."""

    certificate: str = ""
    """File of our certificate and its chain, PEM; empty means there is no TLS port."""
    private_key: str = ""
    """File of its private key, PEM without a password; empty means it is in the same file."""
    ca: str = ""
    """File of the CAs whose clients are let in, PEM; empty means clients need no certificate."""
    port: int = 2762
    """TCP port to listen on, at `dicom.host`; 0 means there is no TLS port."""

    @property
    def is_wanted(self) -> bool:
        """Whether there is to be a TLS port."""
        return bool(self.certificate and self.port)


@dataclass(frozen=True, slots=True)
class ModalitySettings:
    """Table `[modalities.NAME]`, one for each scanner or workstation that may call us."""

    name: str = ""
    """How status and pages call it; the table's name."""
    ae_title: str = ""
    """Its application entity title."""
    address: str = ""
    """Its IP address, or its network as in 10.1.2.0/24; empty means any."""
    rights: tuple[str, ...] = ("echo", "store")
    """What it may do: `echo`, `store`, `find`, `move`, `get`, `commitment` (report it to us)."""
    note: str = ""
    """For people: the room, whom to call."""


@dataclass(frozen=True, slots=True)
class PacsSettings:
    """Table `[pacs]`, or one `[pacs.NAME]` for each of several: where images are returned to."""

    name: str = "pacs"
    """How pages and reports call it; the table's name."""
    ae_title: str = "PACS"
    """Its application entity title."""
    host: str = ""
    """Its address; empty means there is none."""
    port: int = 104
    """Its DICOM port."""
    proof: str = "auto"
    """What counts as proof: `commitment`, `c-find`, or `auto` (commitment, else C-FIND)."""
    decides_mode: bool = True
    """Whether an outage of it is an outage of the node; of several, only the first by default."""
    probe_timeout_s: float = 3.0
    """How long each step of a probe may take, all of them together four times that, seconds."""
    probe_find: bool = False
    """Whether a probe also asks a query, which wakes its database."""
    trial_store: bool = False
    """Whether it may be given a tiny test image when it is back; else the next real one is it."""
    connect_timeout_s: float = 5.0
    """How long a connection or an association may take to be accepted, seconds."""
    answer_timeout_s: float = 60.0
    """How long one answer may take before the conversation is killed, seconds."""
    commitment_wait_s: float = 3600.0
    """How long a commitment may stay unanswered before it is asked again, seconds."""
    associations: int = 2
    """Associations for sending at the same time, at most: it begins with one, has more while all
    goes well, and fewer after trouble."""
    max_images_per_s: float = 0.0
    """Instances sent in a second, at most; 0 = no limit."""
    max_mbit_per_s: float = 0.0
    """Megabits sent in a second, at most; 0 = no limit."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Table `[storage]`: the instance store."""

    reserve_bytes: int = 2 * 1024**3
    """Free space that is never used up, bytes: below it new instances are refused."""
    reserve_inodes: int = 1000
    """Free inodes that are never used up."""
    journal_bytes: int = 512 * 1024**2
    """Size of the journal that takes what arrives before it has a file, bytes; 0 = no journal."""
    sync_writes: bool = True
    """Wait for the disk before acknowledging. False loses images in a power cut: measuring only."""


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Table `[sync]`: returning instances to the PACS."""

    enabled: bool = True
    """Deliver at all."""
    probe_interval_s: float = 10.0
    """Time between two probes of a PACS, seconds."""
    retry_min_s: float = 15.0
    """First wait after a failed delivery, seconds; doubled each time."""
    retry_max_s: float = 300.0
    """Longest wait between two tries, seconds."""
    batch_size: int = 500
    """Instances of one study taken to be sent at a time, after asking what the PACS has of them."""


@dataclass(frozen=True, slots=True)
class ModeSettings:
    """Table `[mode]`: when an outage begins and ends, and who is told."""

    failures_to_suspect: int = 2
    """Failed probes in a row after which the PACS is suspected to be down."""
    outage_after_s: float = 30.0
    """How long probes must go on failing, from the first, until it is an outage, seconds."""
    answers_to_recover: int = 2
    """Good probes in a row that end a suspicion, and that make an outage a recovery."""
    hook_command: tuple[str, ...] = ()
    """Program and arguments to run at each change; see below."""
    hook_url: str = ""
    """http or https address that is sent each change as JSON."""
    hook_timeout_s: float = 10.0
    """How long either may take before it is given up, seconds."""


@dataclass(frozen=True, slots=True)
class InboxSettings:
    """Table `[inbox]`: the watched folder."""

    enabled: bool = True
    """Watch `inbox/` in the data folder."""
    sweep_s: float = 5.0
    """Time between two looks at the whole folder, seconds."""
    settle_s: float = 10.0
    """A file is taken when its size and time stood still this long, seconds."""
    incomplete_wait_s: float = 86400.0
    """How long a file that looks cut off waits for its rest before quarantine, seconds."""


@dataclass(frozen=True, slots=True)
class ScrubSettings:
    """Table `[scrub]`: reading stored files again, to notice damage on the disk."""

    enabled: bool = True
    """Scrub while the node runs; `lifeboat scrub` works either way."""
    bytes_per_s: int = 4_000_000
    """How fast, bytes per second: at 4,000,000 a terabyte takes 3 days, and 7 when images arrive
    more than half of the time. It pauses while they do."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Table `[web]`: pages and DICOMweb."""

    host: str = "127.0.0.1"
    """Address to listen on; only this machine until accounts exist."""
    port: int = 8080
    """TCP port to listen on."""
    workers: int = 1
    """Processes that answer requests."""
    threads: int = 8
    """Threads in each process."""
    quiet_after_s: float = 60.0
    """Seconds without a new instance after which a study no longer counts as being received."""
    decode_workers: int = 2
    """Caged processes that decode compressed frames, for each of `workers`. With 1 nothing is
    decoded ahead of being asked for."""
    decode_timeout_s: float = 10.0
    """How long one frame may take to be decoded before its process is killed, seconds."""
    decode_memory_bytes: int = 1024**3
    """Memory that decoding one frame may take, bytes; half of it is the largest frame."""
    cache_bytes: int = 4 * 1024**3
    """What decoded frames in `cache/` in the data folder may take, bytes; 0 = none are kept there.
    Nothing is written when less than twice `storage.reserve_bytes` is free."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one node.

    `sources` maps each `table.key` that is not a default to where it came from.
    """

    node: NodeSettings = NodeSettings()
    dicom: DicomSettings = DicomSettings()
    tls: TlsSettings = TlsSettings()
    modalities: tuple[ModalitySettings, ...] = ()
    pacs: tuple[PacsSettings, ...] = ()
    storage: StorageSettings = StorageSettings()
    sync: SyncSettings = SyncSettings()
    mode: ModeSettings = ModeSettings()
    inbox: InboxSettings = InboxSettings()
    scrub: ScrubSettings = ScrubSettings()
    web: WebSettings = WebSettings()
    sources: Mapping[str, str] = field(default_factory=dict)


TABLES: Final[dict[str, type]] = {
    "node": NodeSettings,
    "dicom": DicomSettings,
    "tls": TlsSettings,
    "modalities": ModalitySettings,
    "pacs": PacsSettings,
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
_KINDS: Final[dict[Any, str]] = {bool: "true or false", tuple[str, ...]: "a list of words"}
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
        _check_ae_title(pacs.ae_title, f"pacs.{pacs.name}.ae_title")
        _check_port(pacs.port, f"pacs.{pacs.name}.port")
        if pacs.proof not in _PROOFS:
            raise BadSettings(f"pacs.proof must be one of {', '.join(_PROOFS)}")
        if pacs.associations < 1:
            raise BadSettings(f"pacs.{pacs.name}.associations must be at least 1")
        if min(pacs.max_images_per_s, pacs.max_mbit_per_s) < 0:
            raise BadSettings(f"pacs.{pacs.name}: a rate cannot be less than 0; 0 is no limit")
    if 0 < settings.storage.journal_bytes < MINIMUM_JOURNAL_BYTES:
        raise BadSettings("storage.journal_bytes must be 0, or at least 1 MiB (1048576)")
    if settings.scrub.bytes_per_s <= 0:
        raise BadSettings("scrub.bytes_per_s must be more than 0; scrub.enabled=false turns it off")
    _check_decoding(settings.web)
    for name in ("retry_min_s", "retry_max_s", "probe_interval_s"):
        if getattr(settings.sync, name) <= 0:
            raise BadSettings(f"sync.{name} must be more than 0 seconds")
    _check_mode(settings.mode, settings.pacs)


def _check_decoding(web: WebSettings) -> None:
    if web.decode_workers < 1 or web.decode_timeout_s < 1:
        raise BadSettings("web.decode_workers and web.decode_timeout_s must be at least 1")
    if web.decode_memory_bytes < MINIMUM_DECODE_BYTES:
        raise BadSettings("web.decode_memory_bytes must be at least 256 MiB (268435456)")
    if web.cache_bytes < 0:
        raise BadSettings("web.cache_bytes must be 0 or more")


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
