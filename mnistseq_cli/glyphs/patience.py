"""How long to wait for a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try.

    Parameters
    ----------
    answer_timeout_s : float
        Up to the first block of a body; covers names, connections, handshakes, redirects.
    stall_timeout_s : float
        Between two blocks.
    deadline_s : float
        For a whole download: all its files, from all mirrors.
    trial_s : float
        After this time, a mirror that would not be done before the deadline is left.
    rounds : int
        How many times to go round the mirrors.
    backoff_s : float
        Wait after the first round; doubles with each.
    longest_wait_s : float
        Limit of all waits, also of those that a server asks for.
    """

    answer_timeout_s: float = 20
    stall_timeout_s: float = 20
    deadline_s: float = 600
    trial_s: float = 20
    rounds: int = 4
    backoff_s: float = 0.5
    longest_wait_s: float = 30


PATIENT = Patience()
HASTY = Patience(answer_timeout_s=4, stall_timeout_s=10, deadline_s=60, trial_s=10, rounds=1)
