"""The command ``lucid``, and ``python -m lucid``: a look at the on-disk cache, and a broom."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import lucid
from lucid.runtime.disk_cache import disk_cache


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="lucid", description="Deep learning on CPUs.")
    parser.add_argument("--version", action="version", version=f"lucid {lucid.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    cache = commands.add_parser(
        "cache",
        help="machine code kept between processes",
        description="Machine code kept between processes. LUCID_CACHE_DIR says where (off: nowhere), "
        "LUCID_CACHE_LIMIT how many MiB.",
    )
    actions = cache.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("info", help="where it is, what it holds, how it has served").set_defaults(run=_info)
    actions.add_parser("clear", help="remove everything from it").set_defaults(run=_clear)
    chosen = parser.parse_args(arguments)
    status: int = chosen.run()
    return status


def _info() -> int:
    print(disk_cache().info())
    return 0


def _clear() -> int:
    cache = disk_cache()
    if cache.folder is None:
        print("the cache is off")
        return 0
    removed = cache.clear()
    print(f"{removed} entr{'y' if removed == 1 else 'ies'} removed from {cache.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
