"""What a run reports while it goes on; whoever starts it decides what to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Checking:
    """Parts of an earlier run are being looked at."""

    n_parts: int


@dataclass(frozen=True)
class Started:
    """Work begins; what an earlier run finished is counted as done.

    Parameters
    ----------
    n_samples, n_parts : int
        Of the whole dataset.
    n_samples_done, n_parts_done : int
    n_workers : int
    n_samples_at_risk : int
        How many samples stopping can lose, where parts take long; 0 where they do not, or where
        that was not measured.
    """

    n_samples: int
    n_parts: int
    n_samples_done: int
    n_parts_done: int
    n_workers: int
    n_samples_at_risk: int = 0


@dataclass(frozen=True)
class Progressed:
    """Samples were made; all numbers count from the start of this run.

    Parameters
    ----------
    n_samples : int
        Samples made, whether or not their part is finished.
    size_bytes : int
        Size of the files of finished parts.
    """

    n_samples: int
    size_bytes: int


@dataclass(frozen=True)
class PartFinished:
    """All files of a part have their final names, and its record is in place."""

    part: str
    n_samples: int
    n_files: int
    size_bytes: int


@dataclass(frozen=True)
class PartRetried:
    """A worker died; the part it was at is made again."""

    part: str
    attempt: int
    exit_code: int | None


@dataclass(frozen=True)
class Joining:
    """Files that span all parts are being written."""


@dataclass(frozen=True)
class Stopped:
    """The run was interrupted or failed; its finished parts are kept."""

    n_samples_done: int
    n_parts_done: int


@dataclass(frozen=True)
class Finished:
    """The dataset is complete."""

    n_samples: int
    n_files: int
    size_bytes: int


Event = Checking | Started | Progressed | PartFinished | PartRetried | Joining | Stopped | Finished
Report = Callable[[Event], None]


def to_dict(event: Event) -> dict[str, Any]:
    """Return an event as plain values, its kind under "event"."""
    return {"event": type(event).__name__} | asdict(event)


def ignore(event: object) -> None:
    """Take no notice."""
    del event
