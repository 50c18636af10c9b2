"""What was compiled, kept on disk for the next process: bytes under keys, in one folder of the user's.

Nothing is believed that could not have been written here: the folder and every entry must belong to this user and be
writable by no other, symbolic links are not followed, and an entry's checksum covers its key. Whatever is wrong with
the disk (read-only, full, shared with processes that write and delete) is a miss, never an error. Knows nothing of what
the bytes mean.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from time import sleep, time
from typing import NamedTuple

from lucid.errors import CacheWarning

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

#: Folders and files can be opened relative to an open folder, and have owners.
SUPPORTED = hasattr(os, "geteuid") and {os.open, os.unlink, os.rename, os.stat} <= os.supports_dir_fd

#: Bytes that entries may take together if ``LUCID_CACHE_LIMIT`` (in MiB) does not say otherwise.
DEFAULT_LIMIT = 1024 * 2**20
#: Entries are removed, those unused for longest first, until this part of the limit is left.
_KEPT = 0.9
#: The folder's size is taken again when this process alone has added that part of the limit.
_UNSEEN = 1 / 32
#: Seconds after which an unfinished write is taken for abandoned.
_ABANDONED = 3600

_SUFFIX, _UNFINISHED, _COUNTERS = ".lucid", ".unfinished", "counters"
_HEADER = struct.Struct("<8s32sQ32s")  # magic, key, length of the payload, digest of all the others
_MAGIC = b"LUCID\0\0\1"
_COUNTS = struct.Struct("<QQQ")
#: Why a folder cannot be made, if nobody need hear of it: the disk is read-only or full, or may not be written to.
_HARMLESS = frozenset((errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM))


class Counts(NamedTuple):
    """How often an entry was found, was absent, and was there but damaged or not to be trusted."""

    hits: int = 0
    misses: int = 0
    rejected: int = 0


class Info(NamedTuple):
    """What a cache holds, and how it has served: all processes together since it was last cleared."""

    folder: Path | None
    entries: int
    bytes: int
    limit: int
    counts: Counts

    def __str__(self) -> str:
        if self.folder is None:
            return "the cache is off"
        return (
            f"folder:   {self.folder}\n"
            f"entries:  {self.entries}\n"
            f"size:     {self.bytes / 2**20:.1f} MiB of at most {self.limit / 2**20:.0f} MiB\n"
            f"hits:     {self.counts.hits}\n"
            f"misses:   {self.counts.misses}\n"
            f"rejected: {self.counts.rejected}"
        )


class DiskCache:
    """Entries in ``folder``, of at most ``limit`` bytes together; no folder, no cache. Any number of processes and
    threads may use the same one.
    """

    def __init__(self, folder: Path | None, limit: int = DEFAULT_LIMIT):
        self.folder = folder if SUPPORTED else None
        self.limit = limit
        #: Bytes this process may add before it looks at the folder's size again; unknown at first.
        self._unseen = -1

    def load(self, key: bytes) -> bytes | None:
        """The payload stored under a 32-byte key, or None."""
        with self._opened(create=True) as folder:
            if folder is None:
                return None
            found, wrong = _read(folder, key, self.limit)
            _add_counts(folder, Counts(found is not None, found is None, wrong))
            return found

    def store(self, key: bytes, payload: bytes) -> None:
        """Keep a payload, if that is possible."""
        size = _HEADER.size + len(payload)
        with self._opened(create=True) as folder:
            if folder is not None and size <= self.limit and _write(folder, key, payload):
                self._unseen -= size
                if self._unseen < 0:
                    self._shrink(folder)

    def info(self) -> Info:
        """What the folder holds now."""
        with self._opened() as folder:
            if folder is None:
                return Info(self.folder, 0, 0, self.limit, Counts())
            sizes = [size for _, size, _ in _entries(folder)]
            return Info(self.folder, len(sizes), sum(sizes), self.limit, _add_counts(folder, Counts()))

    def clear(self) -> int:
        """Remove every entry, and the counts; returns how many entries there were. Other files stay."""
        with self._opened() as folder:
            if folder is None:
                return 0
            names = [name for _, _, name in _entries(folder)]
            for name in names:
                _remove(folder, name)
            for name in (*_unfinished(folder, older_than=0), _COUNTERS):
                _remove(folder, name)
            return len(names)

    # --- the folder ---

    @contextmanager
    def _opened(self, create: bool = False) -> Iterator[int | None]:
        """A descriptor of the folder, or None if there is none or it is not to be trusted."""
        folder = None
        if self.folder is not None:
            try:
                folder = _open_folder(self.folder)
                if folder is None and create:
                    with suppress(FileExistsError):  # another process was faster
                        os.makedirs(self.folder, mode=0o700)
                    folder = _open_folder(self.folder)
            except OSError as error:
                if error.errno not in _HARMLESS:
                    _warn(f"{self.folder} is a symbolic link, or no folder that can be read ({error.strerror})")
        try:
            if folder is not None and not _trusted(os.fstat(folder)):
                _warn(f"{self.folder} belongs to another user, or others may write there (chmod 700 would forbid it)")
                yield None
            else:
                yield folder
        finally:
            if folder is not None:
                os.close(folder)

    def _shrink(self, folder: int) -> None:
        """Remove what was not used for longest, if there is too much; and what processes that died left behind."""
        for name in _unfinished(folder, older_than=_ABANDONED):
            _remove(folder, name)
        entries = sorted(_entries(folder))
        total = sum(size for _, size, _ in entries)
        if total > self.limit:
            for _, size, name in entries:
                if total <= self.limit * _KEPT:
                    break
                _remove(folder, name)
                total -= size
        self._unseen = min(self.limit - total, int(self.limit * _UNSEEN))


def disk_cache() -> DiskCache:
    """The cache of this process: ``LUCID_CACHE_DIR``, or the user's cache folder; empty or ``off`` means none."""
    asked = os.environ.get("LUCID_CACHE_DIR")
    return _cache_at(asked if asked is not None else _default_folder(), os.environ.get("LUCID_CACHE_LIMIT", ""))


@lru_cache(maxsize=16)
def _cache_at(folder: str, limit: str) -> DiskCache:
    if limit and not limit.isdecimal():
        _warn(f"LUCID_CACHE_LIMIT={limit!r} is not a number of MiB", instead="the default limit holds")
    size = int(limit) * 2**20 if limit.isdecimal() else DEFAULT_LIMIT
    if folder.strip().lower() in ("", "off"):
        return DiskCache(None, size)
    return DiskCache(Path(os.path.abspath(os.path.expanduser(folder))), size)


def _default_folder() -> str:
    """The platform's place for what programs may lose: empty if the user has no home."""
    home = os.path.expanduser("~")
    base = os.environ.get("XDG_CACHE_HOME", "")
    if sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    elif not os.path.isabs(base):  # as the XDG specification wants it
        base = os.path.join(home, ".cache")
    return os.path.join(base, "lucid") if os.path.isabs(base) else ""


def _warn(what: str, instead: str = "nothing is loaded from there") -> None:
    warnings.warn(f"on-disk cache: {what}; {instead}", CacheWarning, stacklevel=3)


def _open_folder(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _trusted(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


# --- entries ---


def _name(key: bytes) -> str:
    return key.hex() + _SUFFIX


def _digest(key: bytes, payload: bytes) -> bytes:
    digest = hashlib.sha256(_MAGIC + key + len(payload).to_bytes(8, "little"))
    digest.update(payload)
    return digest.digest()


def _read(folder: int, key: bytes, limit: int) -> tuple[bytes | None, bool]:
    """An entry's payload, or None and whether there was something that is no good."""
    try:
        file = os.open(_name(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return None, False
    except OSError:
        _warn(f"the entry {_name(key)} is a symbolic link, or cannot be read")
        return None, True
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or not _trusted(status):
            _warn(f"the entry {_name(key)} is no file of this user's alone")
            return None, True
        payload = _verified(_content(file, min(status.st_size, limit)), key)
        if payload is None:
            _remove(folder, _name(key))
            return None, True
        with suppress(OSError):
            os.utime(file)  # the last use: what was not used for longest is removed first
    finally:
        os.close(file)
    return payload, False


def _content(file: int, size: int) -> bytes:
    """What can be read of a file."""
    with suppress(OSError), os.fdopen(file, "rb", closefd=False) as opened:
        return opened.read(size)
    return b""


def _verified(content: bytes, key: bytes) -> bytes | None:
    """The payload of an entry for ``key``, if every bit is as it was written."""
    if len(content) < _HEADER.size:
        return None
    magic, named, length, digest = _HEADER.unpack_from(content)
    payload = content[_HEADER.size :]
    good = magic == _MAGIC and named == key and length == len(payload) and digest == _digest(key, payload)
    return payload if good else None


def _write(folder: int, key: bytes, payload: bytes) -> bool:
    """Write an entry so that others see all of it or nothing; False if that cannot be done."""
    temporary = f"{key.hex()[:16]}-{os.getpid()}-{os.urandom(8).hex()}{_UNFINISHED}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(temporary, flags, 0o600, dir_fd=folder)
    except OSError:
        return False
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(_HEADER.pack(_MAGIC, key, len(payload), _digest(key, payload)))
            opened.write(payload)
        os.rename(temporary, _name(key), src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException as error:  # an interrupt too must leave nothing behind
        _remove(folder, temporary)
        if not isinstance(error, OSError):
            raise
        return False
    return True


def _remove(folder: int, name: str) -> None:
    with suppress(OSError):
        os.unlink(name, dir_fd=folder)


def _entries(folder: int) -> list[tuple[float, int, str]]:
    """Time of last use, size and name of every entry."""
    return [(s.st_mtime, s.st_size, name) for name, s in _files(folder) if name.endswith(_SUFFIX)]


def _unfinished(folder: int, older_than: float) -> list[str]:
    now = time()
    return [name for name, s in _files(folder) if name.endswith(_UNFINISHED) and now - s.st_mtime >= older_than]


def _files(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    with suppress(OSError), os.scandir(folder) as found:
        for item in found:
            with suppress(OSError):  # removed meanwhile
                yield item.name, item.stat(follow_symlinks=False)


# --- counts ---


def _add_counts(folder: int, more: Counts) -> Counts:
    """Add to the counts that all processes share; the sums. What cannot be counted now is not counted."""
    writes = any(more)
    flags = (os.O_RDWR | os.O_CREAT if writes else os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = os.open(_COUNTERS, flags, 0o600, dir_fd=folder)
    except OSError:
        return more
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or not _trusted(status) or not _locked(file):
            return more
        content = os.pread(file, _COUNTS.size, 0)
        before = _COUNTS.unpack(content) if len(content) == _COUNTS.size else (0, 0, 0)
        total = Counts(*((a + b) % 2**64 for a, b in zip(before, more, strict=True)))
        if writes:
            os.pwrite(file, _COUNTS.pack(*total), 0)
    except OSError:
        return more
    finally:
        os.close(file)  # which unlocks it
    return total


def _locked(file: int) -> bool:
    """Wait for a file's lock, which everybody holds for microseconds only; not for ever, if its holder was stopped."""
    for _ in range(100):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(0.001)
        else:
            return True
    return False
