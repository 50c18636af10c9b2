"""What the machine can do, as a contender: multiply-adds in registers, or the memory a workload must move."""

from __future__ import annotations

import lucid
from benchmarks.contender import Contender, Variants
from benchmarks.workloads import Workload
from lucid.runtime import ceilings


def variants(workload: Workload, threads: int) -> Variants:
    lucid.set_num_threads(threads)
    traffic = workload.traffic()
    if traffic is not None:
        return {"memory": lambda: _contender(ceilings.memory(*traffic))}
    if workload.flops:
        return {"multiply-adds": lambda: _contender(ceilings.multiply_adds())}
    return {}


def _contender(ceiling: ceilings.Ceiling) -> Contender:
    return Contender(ceiling.work, lambda _: [], ceiling.amount)
