"""Fresh processes: how long until the first result, with empty caches and with full ones, and how much memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.results import Start
from benchmarks.worker import LibraryError, Worker, WorkerDied
from benchmarks.workloads import Workload

#: Where each library keeps compiled code, if it does.
_CACHES = ("LUCID_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")

#: What has no start of its own: the ceilings, and torch with another allocator.
_LEFT_OUT = ("machine", "torch-tuned")


def starts(workload: Workload, libraries: Sequence[str], threads: int, say: Callable[[str], None]) -> Iterator[Start]:
    """One ``Start`` a variant that compiles or loads something; eager variants are in it for their memory."""
    for library in libraries:
        if library in _LEFT_OUT:
            continue
        try:
            offered = _offered(workload, library, threads)
        except (LibraryError, WorkerDied) as error:
            yield Start(workload.name, threads, library, "", failure=str(error))
            continue
        for variant in offered:
            say(f"{workload.name} on {threads}, from the start: {library} {variant}")
            try:
                yield _start(workload, library, variant, threads)
            except (LibraryError, WorkerDied) as error:
                yield Start(workload.name, threads, library, variant, failure=str(error))


def _offered(workload: Workload, library: str, threads: int) -> list[str]:
    worker = Worker(library, threads)
    try:
        worker.start()
        return worker.variants(workload)
    finally:
        worker.close()


def _start(workload: Workload, library: str, variant: str, threads: int) -> Start:
    with TemporaryDirectory(prefix="lucid-benchmark-") as folder:
        caches = {name: str(Path(folder, name)) for name in _CACHES}
        for cache in caches.values():
            Path(cache).mkdir(mode=0o700)
        taken = [_once(workload, library, variant, threads, caches, Path(folder)) for _ in range(2)]
    (imported, cold, call, memory), (_, warm, _, _) = taken
    return Start(workload.name, threads, library, variant, imported, cold, warm, call, memory)


def _once(
    workload: Workload, library: str, variant: str, threads: int, caches: dict[str, str], folder: Path
) -> tuple[float, float, float, int]:
    """Seconds of the import, to the first result, and of a later call; and peak memory."""
    worker = Worker(library, threads, caches)
    try:
        imported = worker.start()
        worker.variants(workload)
        first, _ = worker.set_up(variant, folder / "results.npz")
        later = [worker.turn(variant, 0.0) for _ in range(3)]
        return imported, first, median(later), worker.memory()
    finally:
        worker.close()
