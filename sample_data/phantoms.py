"""The phantom patients: plainly invented people whose images are made by formulas.

This is the door; each phantom lives in a file of its own.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pydicom import Dataset

from sample_data.brain_mr import brain_mr
from sample_data.cardiac_us import cardiac_us
from sample_data.hand_cr import hand_cr
from sample_data.head_ct import head_ct
from sample_data.iod import Seed, write_instance

__all__ = ["brain_mr", "cardiac_us", "hand_cr", "head_ct", "write_sample"]


def write_sample(
    folder: Path,
    *,
    uid_seed: str,
    slices: int = 120,
    now: datetime | None = None,
    is_mr_compressed: bool = True,
    on_series: Callable[[str, int], None] | None = None,
) -> dict[str, list[Path]]:
    """Write the studies of all phantom patients.

    Parameters
    ----------
    folder : Path
        Gets one folder per series.
    uid_seed : str
        The same seed and the same `now` give the same bytes; another seed gives new UIDs, so
        that a node takes them for new studies.
    slices : int
        Instances of the head CT.
    now : datetime, optional
        When the CT was made, the others in the day before it; the present when left out.
    is_mr_compressed : bool
        Whether the MR is JPEG-LS lossless.
    on_series : callable, optional
        Called with (series name, number of instances) after each series.

    Returns
    -------
    dict of str to list of Path
        Files by series name: ``head_ct``, ``hand_cr_pa``, ``hand_cr_oblique``, ``brain_mr``,
        ``cardiac_us``; each list in the order of the instance numbers.
    """
    seed = Seed(uid_seed)
    made_at = now if now is not None else datetime.now().astimezone()
    hands = hand_cr(seed, made_at - timedelta(minutes=47))
    series: dict[str, list[Dataset]] = {
        "hand_cr_pa": hands[:1],
        "hand_cr_oblique": hands[1:],
        "cardiac_us": cardiac_us(seed, made_at - timedelta(hours=3, minutes=5)),
        "brain_mr": brain_mr(seed, made_at - timedelta(hours=21), is_compressed=is_mr_compressed),
        "head_ct": head_ct(seed, made_at, slices=slices),
    }
    written: dict[str, list[Path]] = {}
    for name, datasets in series.items():
        written[name] = _write_series(folder / name, datasets)
        if on_series is not None:
            on_series(name, len(datasets))
    return written


def _write_series(folder: Path, datasets: list[Dataset]) -> list[Path]:
    paths = [folder / f"{number:04d}.dcm" for number in range(1, len(datasets) + 1)]
    for path, dataset in zip(paths, datasets, strict=True):
        write_instance(dataset, path)
    return paths
