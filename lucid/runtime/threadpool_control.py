"""The thread pool as threadpoolctl sees it, if that is installed: ``threadpool_limits`` holds for it too.

threadpoolctl finds pools by the shared libraries they come in. Ours has none of its own: it is machine code that
llvmlite's library made.

>>> import lucid
>>> import threadpoolctl  # doctest: +SKIP
>>> with threadpoolctl.threadpool_limits(limits=1, user_api="lucid"):  # doctest: +SKIP
...     lucid.get_num_threads()
1
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@cache
def offer() -> None:
    """Make the pool known, once."""
    if find_spec("threadpoolctl") is None:
        return
    from lucid.runtime.threads import get_num_threads, set_num_threads

    def count(self: Any) -> int:
        return get_num_threads()

    def limit(self: Any, num_threads: int) -> None:
        set_num_threads(num_threads)

    def version(self: Any) -> str | None:
        return None

    threadpoolctl = import_module("threadpoolctl")
    members = {
        "__doc__": "Lucid's threads.",
        "user_api": "lucid",
        "internal_api": "lucid",
        "filename_prefixes": ("libllvmlite", "llvmlite"),
        "get_num_threads": count,
        "set_num_threads": limit,
        "get_version": version,
    }
    threadpoolctl.register(type("LucidController", (threadpoolctl.LibController,), members))
