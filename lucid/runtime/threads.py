"""The thread pool: workers that wait in machine code of our own, and share the turns of a kernel's parallel loop.

A fork and join costs a microsecond or less, because nobody leaves native code: a worker spins briefly for the next
task and then sleeps on a futex; the caller publishes a numbered task in pieces, does its own like everybody else, and
waits until all are finished. A thread's own pieces are the same part of every task, so that it mostly reads what it
wrote itself; when they are done, it takes those that others left. Each worker is a Python thread inside one foreign
call, which holds no interpreter lock.

How a task is split never changes a result: every element is computed by one thread, in one order.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import threading

import numpy as np

from lucid.codegen.target import Target, available_threads
from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.ir.location import here, resolve
from lucid.runtime.binary import cached_object
from lucid.runtime.jit import CompiledModule
from lucid.runtime.threadpool_control import offer

#: Turns of a waiting loop before a worker sleeps (some tens of microseconds), and before the caller yields its core.
_SPINS = 4000

#: The words of the pool's memory (64-bit), on lines of the cache that change hands as little as can be, because that
#: takes up to half a microsecond where threads run far apart. First the task's number; then of two tasks, an even one
#: and an odd one, what to call, its arguments and its turns: a worker that comes late still reads those of its task.
_THREADS, _TASKS, _TASK_WORDS = 1, 2, 3
#: Workers who sleep; pieces that workers finished, of all tasks ever, and how many they are when this task is done.
_SLEEPERS, _FINISHED, _GOAL = 16, 32, 48
#: Then each thread's ticket, so many words apart: the number of a task, and in the low byte how many of the thread's
#: own pieces of it are taken. A ticket of an older task counts as none taken, and thus nobody has to clear it.
_TICKETS, _APART = 64, 16

#: Pieces that a task is cut into for each thread, fewer than a byte counts: one whose core is busy elsewhere then
#: leaves its work to the others.
_PIECES_PER_THREAD = 4

_LINUX_FUTEX = {"x86_64": 202, "aarch64": 98}


def _native(target: Target) -> str:
    """LLVM text of the three functions: share a task, wait for tasks, end the waiting."""
    machine = platform.machine()
    futex = _LINUX_FUTEX.get(machine) if sys.platform.startswith("linux") else None
    pause = {
        "x86_64": "call void @llvm.x86.sse2.pause()",
        "aarch64": "call void @llvm.aarch64.hint(i32 1)",
    }.get(machine, "")
    if futex is None:
        wake = ""
        sleep = "%slept = call i32 @usleep(i32 50)"
        declare = "declare i32 @usleep(i32)"
    else:
        # FUTEX_WAIT and FUTEX_WAKE on private memory, on the low half of the number.
        call = f"call i64 (i64, ...) @syscall(i64 {futex}, ptr %pool"
        wake = f"%woken = {call}, i64 129, i64 2147483647, ptr null, ptr null, i64 0)"
        sleep = f"%half = trunc i64 %last to i32\n  %slept = {call}, i64 128, i32 %half, ptr null, ptr null, i64 0)"
        declare = "declare i64 @syscall(i64, ...)"
    pauses = {
        "x86_64": "declare void @llvm.x86.sse2.pause()",
        "aarch64": "declare void @llvm.aarch64.hint(i32)",
    }.get(machine, "")

    def word(name: str, number: int) -> str:
        return f"  %{name} = getelementptr i64, ptr %pool, i64 {number}"

    return f"""target triple = "{target.triple}"

define internal ptr @slot(ptr %pool, i64 %number) nounwind {{
  %odd = and i64 %number, 1
  %skip = mul i64 %odd, {_TASK_WORDS}
  %at = add i64 %skip, {_TASKS}
  %slot = getelementptr i64, ptr %pool, i64 %at
  ret ptr %slot
}}

define internal i64 @pieces(i64 %turns, i64 %threads) nounwind {{
  %most = mul i64 %threads, {_PIECES_PER_THREAD}
  %few = icmp ult i64 %turns, %most
  %pieces = select i1 %few, i64 %turns, i64 %most
  ret i64 %pieces
}}

define internal void @publish(ptr %pool, ptr %task, ptr %arguments, i64 %turns) nounwind {{
{word("so", _SLEEPERS)}
  %old = load atomic i64, ptr %pool monotonic, align 8
  %number = add i64 %old, 1
  %to = call ptr @slot(ptr %pool, i64 %number)
  %ao = getelementptr i64, ptr %to, i64 1
  %no = getelementptr i64, ptr %to, i64 2
  store ptr %task, ptr %to
  store ptr %arguments, ptr %ao
  store i64 %turns, ptr %no
  store atomic i64 %number, ptr %pool seq_cst, align 8
  %sleepers = load atomic i64, ptr %so seq_cst, align 8
  %asleep = icmp sgt i64 %sleepers, 0
  br i1 %asleep, label %rouse, label %out
rouse:
  {wake}
  br label %out
out:
  ret void
}}

define internal i64 @take(ptr %pool, i64 %number, ptr %task, ptr %arguments, i64 %turns, i64 %pieces, i64 %threads,
                          i64 %whose, i64 %who) nounwind {{
  %at = mul i64 %whose, {_APART}
  %from = add i64 %at, {_TICKETS}
  %ticket = getelementptr i64, ptr %pool, i64 %from
  %low = mul i64 %pieces, %whose
  %next = add i64 %low, %pieces
  %begin = udiv i64 %low, %threads
  %stop = udiv i64 %next, %threads
  br label %look
look:
  %taken = phi i64 [ 0, %0 ], [ %taken, %claim ], [ %more, %do ]
  %seen = load atomic i64, ptr %ticket acquire, align 8
  %of = lshr i64 %seen, 8
  %same = icmp eq i64 %of, %number
  %count = and i64 %seen, 255
  %mine = select i1 %same, i64 %count, i64 0
  %piece = add i64 %begin, %mine
  %current = icmp ule i64 %of, %number
  %left = icmp ult i64 %piece, %stop
  %open = and i1 %current, %left
  br i1 %open, label %claim, label %out
claim:
  %moved = add i64 %mine, 1
  %high = shl i64 %number, 8
  %wanted = or i64 %high, %moved
  %swap = cmpxchg ptr %ticket, i64 %seen, i64 %wanted acq_rel acquire
  %got = extractvalue {{ i64, i1 }} %swap, 1
  br i1 %got, label %do, label %look
do:
  %after = add i64 %piece, 1
  %a = mul i64 %turns, %piece
  %b = mul i64 %turns, %after
  %first = udiv i64 %a, %pieces
  %end = udiv i64 %b, %pieces
  call void %task(ptr %arguments, i64 %first, i64 %end, i64 %who)
  %more = add i64 %taken, 1
  br label %look
out:
  ret i64 %taken
}}

define internal i64 @work(ptr %pool, i64 %number, ptr %task, ptr %arguments, i64 %turns, i64 %who) nounwind {{
{word("co", _THREADS)}
{word("fo", _FINISHED)}
  %threads = load i64, ptr %co
  %pieces = call i64 @pieces(i64 %turns, i64 %threads)
  %helps = icmp ne i64 %who, 0
  br label %next
next:
  %k = phi i64 [ 0, %0 ], [ %k1, %told ]
  %sum = phi i64 [ 0, %0 ], [ %sum1, %told ]
  %on = add i64 %who, %k
  %whose = urem i64 %on, %threads
  %taken = call i64 @take(ptr %pool, i64 %number, ptr %task, ptr %arguments, i64 %turns, i64 %pieces, i64 %threads,
                          i64 %whose, i64 %who)
  %some = icmp ne i64 %taken, 0
  %tell = and i1 %some, %helps
  br i1 %tell, label %finish, label %told
finish:
  %before = atomicrmw add ptr %fo, i64 %taken release
  br label %told
told:
  %sum1 = add i64 %sum, %taken
  %k1 = add i64 %k, 1
  %again = icmp ult i64 %k1, %threads
  br i1 %again, label %next, label %out
out:
  ret i64 %sum1
}}

define void @parallel(ptr %pool, ptr %task, ptr %arguments, i64 %turns) nounwind {{
  %alone = icmp eq ptr %pool, null
  br i1 %alone, label %serial, label %several
serial:
  call void %task(ptr %arguments, i64 0, i64 %turns, i64 0)
  ret void
several:
{word("co", _THREADS)}
{word("fo", _FINISHED)}
{word("go", _GOAL)}
  call void @publish(ptr %pool, ptr %task, ptr %arguments, i64 %turns)
  %number = load atomic i64, ptr %pool monotonic, align 8
  %own = call i64 @work(ptr %pool, i64 %number, ptr %task, ptr %arguments, i64 %turns, i64 0)
  %threads = load i64, ptr %co
  %pieces = call i64 @pieces(i64 %turns, i64 %threads)
  %others = sub i64 %pieces, %own
  %before = load i64, ptr %go
  %goal = add i64 %before, %others
  store i64 %goal, ptr %go
  br label %spin
spin:
  %n = phi i64 [ 0, %several ], [ %n1, %again ]
  %done = load atomic i64, ptr %fo acquire, align 8
  %ready = icmp eq i64 %done, %goal
  br i1 %ready, label %out, label %wait
wait:
  {pause}
  %n1 = add i64 %n, 1
  %long = icmp sgt i64 %n1, {_SPINS}
  br i1 %long, label %yield, label %again
yield:
  %yielded = call i32 @sched_yield()
  br label %again
again:
  br label %spin
out:
  ret void
}}

define void @worker(ptr %pool, i64 %start, i64 %who) nounwind {{
{word("so", _SLEEPERS)}
  br label %idle
idle:
  %last = phi i64 [ %start, %0 ], [ %number, %share ], [ %last, %rest ], [ %last, %take ]
  br label %spin
spin:
  %n = phi i64 [ 0, %idle ], [ %n1, %wait ]
  %number = load atomic i64, ptr %pool acquire, align 8
  %new = icmp ne i64 %number, %last
  br i1 %new, label %take, label %wait
wait:
  {pause}
  %n1 = add i64 %n, 1
  %long = icmp sgt i64 %n1, {_SPINS}
  br i1 %long, label %rest, label %spin
rest:
  %before = atomicrmw add ptr %so, i64 1 seq_cst
  {sleep}
  %after = atomicrmw sub ptr %so, i64 1 seq_cst
  br label %idle
take:
  %to = call ptr @slot(ptr %pool, i64 %number)
  %ao = getelementptr i64, ptr %to, i64 1
  %no = getelementptr i64, ptr %to, i64 2
  %task = load atomic ptr, ptr %to acquire, align 8
  %arguments = load atomic ptr, ptr %ao acquire, align 8
  %turns = load atomic i64, ptr %no acquire, align 8
  %now = load atomic i64, ptr %pool acquire, align 8
  %late = icmp ne i64 %now, %number
  br i1 %late, label %idle, label %known
known:
  %stop = icmp eq ptr %task, null
  br i1 %stop, label %out, label %share
share:
  %done = call i64 @work(ptr %pool, i64 %number, ptr %task, ptr %arguments, i64 %turns, i64 %who)
  br label %idle
out:
  ret void
}}

define void @stop(ptr %pool) nounwind {{
  call void @publish(ptr %pool, ptr null, ptr null, i64 0)
  ret void
}}

declare i32 @sched_yield()
{declare}
{pauses}
"""


class ThreadPool:
    """Workers that share kernels with the thread that calls; started when first needed.

    One call at a time may use them: another thread that runs a compiled graph meanwhile runs it alone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: int | None = None
        self._module: CompiledModule | None = None
        self._workers: list[threading.Thread] = []
        self._memory = np.zeros(0, np.uint64)
        self._parallel = 0

    @property
    def size(self) -> int:
        """Threads that share a kernel, the caller among them."""
        if self._wanted is None:
            self._wanted = available_threads()
        return self._wanted

    def resize(self, count: int) -> None:
        with self._lock:
            self._stop()
            self._wanted = count

    def function(self) -> int:
        """Address of ``parallel(pool, task, arguments, turns)``; with no pool it runs the task alone."""
        if self._module is None:
            with self._lock:
                if self._module is None:
                    target = Target.host()
                    module = CompiledModule([cached_object(_native(target), target)])
                    self._parallel = module.address("parallel")
                    self._module = module
            offer()
        return self._parallel

    def take(self) -> int:
        """The pool's address, for this caller alone until ``give``; 0 if it has one thread or another caller has it."""
        if self.size < 2 or not self._lock.acquire(blocking=False):
            return 0
        if not self._workers:
            self._start()
        return self._memory.ctypes.data

    def give(self) -> None:
        self._lock.release()

    def _start(self) -> None:
        assert self._module is not None
        words = _TICKETS + self.size * _APART
        memory = np.zeros(words + _APART, np.uint64)
        skip = -memory.ctypes.data % (8 * _APART) // 8
        self._memory = memory[skip : skip + words]
        self._memory[_THREADS] = self.size
        address = self._module.address("worker")
        work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(address)
        pool = self._memory.ctypes.data
        self._workers = [
            threading.Thread(target=work, args=(pool, 0, k), name=f"lucid-{k}", daemon=True)
            for k in range(1, self.size)
        ]
        for worker in self._workers:
            worker.start()

    def _stop(self) -> None:
        """Send the workers home and wait for them; the caller holds the lock."""
        if not self._workers:
            return
        assert self._module is not None
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._module.address("stop"))(self._memory.ctypes.data)
        for worker in self._workers:
            worker.join()
        self._workers = []

    def close(self) -> None:
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """In a forked child no worker lives on: begin anew when next asked."""
        self._lock = threading.Lock()
        self._workers = []


POOL = ThreadPool()
atexit.register(POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.forget)


def get_num_threads() -> int:
    """Threads that compiled code uses.

    >>> import lucid
    >>> lucid.get_num_threads() >= 1
    True
    """
    return POOL.size


def set_num_threads(count: int) -> None:
    """Set the number of threads that compiled code uses; results are the same bits for any number.

    Raises:
        ArgumentTypeError: ``count`` is not an int.
        ArgumentError: ``count`` is below 1.

    >>> import lucid
    >>> lucid.set_num_threads(1)
    >>> lucid.get_num_threads()
    1
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise ArgumentTypeError(f"count={count!r} must be an int", op="set_num_threads", where=str(resolve(here())))
    if count < 1:
        raise ArgumentError(f"count={count} must be at least 1", op="set_num_threads", where=str(resolve(here())))
    POOL.resize(count)
