"""The tables of the settings file, each a frozen dataclass with the meaning of every key."""

from dataclasses import dataclass
from pathlib import Path


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
    required: bool = True
    """Whether an instance counts as returned, and may one day go, only when it is proven here."""
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
    answer_timeout_s: float = 40.0
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
    quiet_hours: tuple[str, ...] = ()
    """Hours of this machine's clock in which nothing is sent to it, as in `07:00-18:30`; several
    are possible, and one may go over midnight. What was begun is finished, `sync.batch_size`
    instances at most; it is still probed, and asked for proof of what it has."""
    tls_ca: str = ""
    """File of the CAs its certificate must come from, PEM; empty means there is no TLS. With it
    nothing is ever sent in the clear."""
    tls_name: str = ""
    """Name its certificate must bear; empty means any certificate of these CAs is believed."""
    tls_certificate: str = ""
    """File of the certificate we show it, and its chain, PEM; empty means none."""
    tls_private_key: str = ""
    """File of its private key, PEM without a password; empty means it is in the same file."""


@dataclass(frozen=True, slots=True)
class WorklistSettings:
    """Table `[worklist]`: a modality worklist, asked for what was ordered when reconciling."""

    ae_title: str = "RIS"
    """Its application entity title."""
    host: str = ""
    """Its address; empty means there is none. It may be that of the PACS."""
    port: int = 104
    """Its DICOM port."""
    tls_ca: str = ""
    """File of the CAs its certificate must come from, PEM; empty means there is no TLS."""
    tls_name: str = ""
    """Name its certificate must bear; empty means any certificate of these CAs is believed."""
    tls_certificate: str = ""
    """File of the certificate we show it, and its chain, PEM; empty means none."""
    tls_private_key: str = ""
    """File of its private key, PEM without a password; empty means it is in the same file."""

    @property
    def peer(self) -> PacsSettings:
        """It as a peer to talk with; nothing is ever sent there."""
        return PacsSettings(
            name="worklist",
            ae_title=self.ae_title,
            host=self.host,
            port=self.port,
            tls_ca=self.tls_ca,
            tls_name=self.tls_name,
            tls_certificate=self.tls_certificate,
            tls_private_key=self.tls_private_key,
        )


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Table `[storage]`: the instance store."""

    reserve_bytes: int = 2 * 1024**3
    """Free space that is never used up, bytes: below it new instances are refused."""
    reserve_inodes: int = 1000
    """Free inodes that are never used up."""
    keep_days: float = 30.0
    """How long an instance stays at least after it arrived, days, however well it is proven."""
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
    object_waits_s: tuple[float, ...] = (900.0, 3600.0, 14400.0, 67500.0)
    """Waits between the tries of one instance that a PACS refuses while it takes others, seconds:
    five tries in a day. After the last a person must look; it is never dropped."""
    reverify_interval_s: float = 86400.0
    """How often a PACS is asked whether it still has what it vouched for, seconds; 0 = never. What
    it lost is sent again."""
    batch_size: int = 1000
    """Instances of one study taken to be sent at a time, after asking what the PACS has of them."""
    temporary_ids: tuple[str, ...] = ("TMP*", "TEMP*", "UNK*", "EMERG*")
    """Patient IDs that are only for the time of an outage, with `*` and `?`; these studies are
    listed as still to be reconciled."""


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
    theatre_list: str = ""
    """CSV file of the day's operations, read anew whenever it changes; empty means there is none.
    Its first line names the columns: patient_id, time, theatre, procedure, side."""
    theatre: str = ""
    """Name of the theatre this node stands in, as in the list: then every page is in wall mode and
    the board shows that theatre's list. Empty means a page is in wall mode where `/?wall=1` was
    opened."""
    idle_s: float = 180.0
    """Seconds without a touch after which a page with images goes back to the board and clears it;
    0 = never."""
    idle_theatre_s: float = 900.0
    """The same in wall mode, seconds."""
    cache_bytes: int = 4 * 1024**3
    """What decoded frames in `cache/` in the data folder may take, bytes; 0 = none are kept there.
    Nothing is written when less than twice `storage.reserve_bytes` is free."""
    measurements: bool = True
    """Offer measuring in the viewer: lengths, angles, values of areas. Key images and notes stay
    either way."""
    presets_file: str = ""
    """TOML file with the windows offered for CT, each a table `[[preset]]` with `name`, `width`,
    `center` (HU) and, if a digit chooses it, `key`; "" = the built-in ones."""
