"""Which share of a dataset a process makes: as it was told, or as its scheduler numbers it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from mnistseq_cli.errors import UsageError

# Variables with the number of a task; what they count from, and the variable with how many tasks
# there are. https://slurm.schedmd.com/job_array.html, qsub(1) of Grid Engine and of PBS,
# https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html,
# https://kubernetes.io/docs/concepts/workloads/controllers/job/, parallel(1).
_TASKS = {
    "SLURM_ARRAY_TASK_ID": (1, "SLURM_ARRAY_TASK_COUNT"),
    "AWS_BATCH_JOB_ARRAY_INDEX": (0, "AWS_BATCH_JOB_ARRAY_SIZE"),
    "SGE_TASK_ID": (1, "SGE_TASK_LAST"),
    "PBS_ARRAY_INDEX": (1, ""),
    "PBS_ARRAYID": (1, ""),
    "JOB_COMPLETION_INDEX": (0, ""),
    "PARALLEL_SEQ": (1, ""),
}


def parse_share(text: str, environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Return K and N of ``K/N``, ``auto`` or ``auto/N``."""
    said = re.fullmatch(r"(auto|[0-9]{1,7})(?:/([0-9]{1,7}))?", text)
    if not said or (said[1] != "auto" and not said[2]):
        raise _refuse(f"is {text!r}; expected K/N, auto or auto/N")
    number, n_shares = (said[1], said[2] or "")
    if number == "auto":
        # SGE says "undefined" where a job is no array.
        name = next((it for it in _TASKS if environment.get(it, "").isdecimal()), None)
        if name is None:
            raise _refuse(f"is auto, but nothing numbers this process: no {', '.join(_TASKS)}")
        first, counted = _TASKS[name]
        number = str(int(environment[name]) + 1 - first)
        n_shares = n_shares or environment.get(counted, "")
        if environment.get("SGE_TASK_FIRST", "1") != "1":  # the last is not how many there are
            n_shares = said[2] or ""
    if not n_shares:
        raise _refuse("is auto, and the scheduler does not say how many tasks there are")
    if not 1 <= int(number) <= int(n_shares):
        # An array that is numbered otherwise, or of the tasks that failed, would make others.
        raise _refuse(f"is {text!r}, which is {number}/{n_shares}; expected 1/N to N/N")
    return int(number), int(n_shares)


def _refuse(why: str) -> UsageError:
    hint = "For example: --share 3/8, --share auto/8; number the tasks from 1"
    return UsageError(why, hint, field="share")
