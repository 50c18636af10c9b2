"""The on-disk cache: what it keeps, what it refuses to believe, and that nothing on the disk can hurt."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from lucid.__main__ import main
from lucid.errors import CacheWarning
from lucid.runtime import disk_cache
from lucid.runtime.disk_cache import Counts, DiskCache

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache")


def entry(cache: DiskCache, key: bytes = KEY) -> Path:
    assert cache.folder is not None
    return cache.folder / f"{key.hex()}.lucid"


def names(cache: DiskCache) -> list[str]:
    assert cache.folder is not None
    return sorted(p.name for p in cache.folder.iterdir() if p.name != "counters")


def test_what_is_stored_is_found_again(cache: DiskCache) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, b"payload")
    cache.store(OTHER, b"")
    assert DiskCache(cache.folder).load(KEY) == b"payload"
    assert cache.load(OTHER) == b""
    cache.store(KEY, b"another")
    assert cache.load(KEY) == b"another"


def test_it_says_what_it_holds_and_how_it_served(cache: DiskCache) -> None:
    cache.load(KEY)
    cache.store(KEY, bytes(1000))
    cache.load(KEY)
    cache.load(KEY)
    info = cache.info()
    assert (info.entries, info.counts) == (1, Counts(hits=2, misses=1, rejected=0))
    assert info.bytes == entry(cache).stat().st_size
    assert "hits:     2" in str(info)
    assert cache.clear() == 1
    assert (cache.info().entries, cache.info().counts) == (0, Counts())


def test_others_may_not_look_into_it(cache: DiskCache) -> None:
    cache.store(KEY, b"payload")
    assert cache.folder is not None
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert entry(cache).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("payload", [b"", b"x" * 100])
def test_a_flipped_bit_is_a_miss(cache: DiskCache, payload: bytes) -> None:
    cache.store(KEY, payload)
    good = entry(cache).read_bytes()
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        entry(cache).write_bytes(bad)
        assert cache.load(KEY) is None, bit
        assert not entry(cache).exists()
    assert cache.info().counts.rejected == 8 * len(good)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"", lambda b: b[:50]])
def test_an_entry_of_another_length_is_a_miss(cache: DiskCache, change: Callable[[bytes], bytes]) -> None:
    cache.store(KEY, b"payload")
    entry(cache).write_bytes(change(entry(cache).read_bytes()))
    assert cache.load(KEY) is None


def test_an_entry_under_another_name_is_a_miss(cache: DiskCache) -> None:
    cache.store(KEY, b"payload")
    entry(cache).rename(entry(cache, OTHER))
    assert cache.load(OTHER) is None


def test_a_link_to_an_entry_is_refused(cache: DiskCache, tmp_path: Path) -> None:
    cache.store(KEY, b"payload")
    entry(cache).rename(tmp_path / "elsewhere")
    entry(cache).symlink_to(tmp_path / "elsewhere")
    with pytest.warns(CacheWarning, match="symbolic link"):
        assert cache.load(KEY) is None
    cache.store(KEY, b"new")  # replaces the link, not what it points to
    assert cache.load(KEY) == b"new"
    assert (tmp_path / "elsewhere").read_bytes().endswith(b"payload")


def test_a_link_to_the_folder_is_refused(cache: DiskCache, tmp_path: Path) -> None:
    cache.store(KEY, b"payload")
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    linked = DiskCache(tmp_path / "link")
    with pytest.warns(CacheWarning, match="symbolic link"):
        assert linked.load(KEY) is None
    with pytest.warns(CacheWarning, match="symbolic link"):
        linked.store(OTHER, b"payload")
    assert names(cache) == [entry(cache).name]


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_others_may_write_to_is_ignored(cache: DiskCache, mode: int) -> None:
    cache.store(KEY, b"payload")
    assert cache.folder is not None
    cache.folder.chmod(mode)
    with pytest.warns(CacheWarning, match="others may write there"):
        assert cache.load(KEY) is None
    with pytest.warns(CacheWarning, match="chmod 700"):
        cache.store(OTHER, b"payload")
    cache.folder.chmod(0o755)
    assert cache.load(KEY) == b"payload"
    assert cache.load(OTHER) is None


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_an_entry_others_may_write_to_is_ignored(cache: DiskCache, mode: int) -> None:
    cache.store(KEY, b"payload")
    entry(cache).chmod(mode)
    with pytest.warns(CacheWarning, match="this user's alone"):
        assert cache.load(KEY) is None
    assert cache.info().counts.rejected == 1


def test_what_belongs_to_another_user_is_ignored(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, b"payload")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(CacheWarning, match="another user"):
        assert cache.load(KEY) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_entry_of_another_user_is_ignored(cache: DiskCache) -> None:
    cache.store(KEY, b"payload")
    os.chown(entry(cache), 12345, 12345)
    with pytest.warns(CacheWarning, match="this user's alone"):
        assert cache.load(KEY) is None


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(cache: DiskCache, make: Callable[[Path], None]) -> None:
    cache.store(OTHER, b"payload")
    make(entry(cache))
    with pytest.warns(CacheWarning):
        assert cache.load(KEY) is None
    cache.store(KEY, b"payload")  # possible or not, it does no harm
    assert cache.load(OTHER) == b"payload"


def test_a_full_disk_is_harmless(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(OTHER, b"payload")
    real = os.fdopen

    class Full:
        def __init__(self, file: int, mode: str, **options: bool):
            self.opened = real(file, mode, **options)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.opened.close()

        def write(self, data: bytes) -> None:
            self.opened.write(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(disk_cache.os, "fdopen", Full)
        cache.store(KEY, b"payload")
    assert names(cache) == [entry(cache, OTHER).name]
    assert cache.load(KEY) is None
    assert cache.load(OTHER) == b"payload"


def test_an_interrupted_write_leaves_nothing(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk_cache.os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.store(KEY, b"payload")
    assert names(cache) == []


def test_a_place_where_nothing_can_be_written_is_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(disk_cache.os, "makedirs", refused)
    cache = DiskCache(tmp_path / "cache")
    cache.store(KEY, b"payload")
    assert cache.load(KEY) is None
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_can_only_be_read_still_serves(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, b"payload")
    real = os.open

    def reads(path: object, flags: int, *args: int, **options: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(disk_cache.os, "open", reads)
    assert cache.load(KEY) == b"payload"
    cache.store(OTHER, b"payload")
    assert cache.load(OTHER) is None


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    cache = DiskCache(tmp_path / "cache")
    with pytest.warns(CacheWarning, match="no folder"):
        assert cache.load(KEY) is None
    with pytest.warns(CacheWarning, match="no folder"):
        cache.store(KEY, b"payload")


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", limit=10_000)
    keys = [bytes([k]) * 32 for k in range(8)]
    for age, key in enumerate(keys):
        cache.store(key, bytes(1100))
        os.utime(entry(cache, key), (1000 + age, 1000 + age))
    assert cache.load(keys[0]) is not None  # used: now the youngest
    cache.store(b"n" * 32, bytes(1100))
    assert cache.info().bytes <= 10_000
    assert cache.load(keys[0]) is not None
    assert cache.load(b"n" * 32) is not None
    assert cache.load(keys[1]) is None
    assert cache.load(keys[7]) is not None


def test_it_never_grows_much_beyond_its_limit(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", limit=100_000)
    for k in range(100):
        cache.store(bytes([k]) * 32, bytes(3000))
        assert cache.info().bytes <= 100_000 * 33 / 32
    cache.store(OTHER, bytes(200_000))  # more than fits at all
    assert cache.load(OTHER) is None
    assert cache.info().entries > 20


def test_what_dead_processes_left_is_removed(cache: DiskCache) -> None:
    cache.store(KEY, b"payload")
    assert cache.folder is not None
    old, young = cache.folder / "a.unfinished", cache.folder / "b.unfinished"
    old.write_text("half")
    young.write_text("half")
    os.utime(old, (1000, 1000))
    DiskCache(cache.folder).store(OTHER, b"payload")
    assert not old.exists()
    assert young.exists()


def test_clearing_leaves_other_files_alone(cache: DiskCache) -> None:
    cache.store(KEY, b"payload")
    assert cache.folder is not None
    (cache.folder / "notes.txt").write_text("mine")
    (cache.folder / "a.unfinished").write_text("half")
    assert cache.clear() == 1
    assert names(cache) == ["notes.txt"]


@pytest.mark.parametrize("content", [b"", b"x", bytes(100)])
def test_spoiled_counts_begin_anew(cache: DiskCache, content: bytes) -> None:
    cache.store(KEY, b"payload")
    assert cache.folder is not None
    (cache.folder / "counters").write_bytes(content)
    cache.load(KEY)
    assert cache.info().counts.hits == 1


def test_a_process_that_holds_the_counts_stops_nobody(cache: DiskCache) -> None:
    cache.store(KEY, b"payload")
    cache.load(KEY)
    assert cache.folder is not None
    with open(cache.folder / "counters", "rb") as held:
        disk_cache.fcntl.flock(held, disk_cache.fcntl.LOCK_EX)
        started = time.monotonic()
        assert cache.load(KEY) == b"payload"
        assert time.monotonic() - started < 5
    assert cache.info().counts.hits == 1


RACER = """
import sys
from pathlib import Path
from lucid.runtime.disk_cache import DiskCache

cache = DiskCache(Path(sys.argv[1]), limit=60_000)
keys = [bytes([k]) * 32 for k in range(20)]
for turn in range(60):
    key = keys[(turn * 7 + int(sys.argv[2])) % 20]
    found = cache.load(key)
    assert found is None or found == key * 100, "another's bytes"
    if found is None:
        cache.store(key, key * 100)
    if turn == 30 and sys.argv[2] == "3":
        cache.clear()
"""


def test_a_dozen_processes_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "cache"
    racers = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", RACER, str(folder), str(k)], stderr=subprocess.PIPE)
        for k in range(12)
    ]
    for racer in racers:
        _, errors = racer.communicate(timeout=60)
        assert racer.returncode == 0, errors.decode()
    cache = DiskCache(folder, limit=60_000)
    info = cache.info()
    assert 0 < info.bytes <= 60_000 * (1 + 12 / 32)
    assert info.counts.rejected == 0
    assert 0 < sum(info.counts) <= 12 * 60
    assert not [name for name in names(cache) if name.endswith(".unfinished")]


def test_counts_of_many_processes_add_up(tmp_path: Path) -> None:
    DiskCache(tmp_path / "cache").store(KEY, b"payload")
    script = RACER.split("for turn", maxsplit=1)[0] + f"for _ in range(40): cache.load({KEY!r})"
    racers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "cache"), "0"]) for _ in range(6)]
    assert [racer.wait(timeout=60) for racer in racers] == [0] * 6
    assert DiskCache(tmp_path / "cache").info().counts == Counts(hits=240)


# --- where it is ---


@pytest.mark.parametrize("value", ["", "off", "OFF", " "])
def test_it_can_be_turned_off(value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LUCID_CACHE_DIR", value)
    cache = disk_cache.disk_cache()
    cache.store(KEY, b"payload")
    assert cache.load(KEY) is None
    assert str(cache.info()) == "the cache is off"
    assert (main(["cache", "info"]), main(["cache", "clear"])) == (0, 0)
    assert capsys.readouterr().out == "the cache is off\n" * 2


def test_its_usual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUCID_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert disk_cache.disk_cache().folder == tmp_path / "xdg" / "lucid"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert disk_cache.disk_cache().folder == tmp_path / ".cache" / "lucid"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert disk_cache.disk_cache().folder == tmp_path / "Library" / "Caches" / "lucid"
    monkeypatch.setenv("LUCID_CACHE_DIR", "~/here")
    assert disk_cache.disk_cache().folder == tmp_path / "here"


def test_its_size_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("LUCID_CACHE_LIMIT", "3")
    assert disk_cache.disk_cache().limit == 3 * 2**20
    monkeypatch.setenv("LUCID_CACHE_LIMIT", "much")
    with pytest.warns(CacheWarning, match="LUCID_CACHE_LIMIT='much'"):
        assert disk_cache.disk_cache().limit == disk_cache.DEFAULT_LIMIT


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LUCID_CACHE_DIR", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["cache", "info"]) == 0
        assert not (tmp_path / "cache").exists()  # looking makes nothing
        disk_cache.disk_cache().store(KEY, b"payload")
        assert main(["cache", "info"]) == 0
        assert main(["cache", "clear"]) == 0
    printed = capsys.readouterr().out
    assert f"folder:   {tmp_path / 'cache'}\nentries:  0" in printed
    assert "entries:  1" in printed
    assert f"1 entry removed from {tmp_path / 'cache'}" in printed
    with pytest.raises(SystemExit):
        main(["cache"])
    run = subprocess.run([sys.executable, "-m", "lucid", "cache", "info"], capture_output=True, text=True, check=True)
    assert "entries:  0" in run.stdout
