"""Confinement of the process that parses untrusted bytes (Linux, stdlib and ctypes only).

``isolate_network`` runs once in the fork server, ``confine`` in every child after everything it
needs is imported and before it looks at the first byte of its input. Each measure reports whether
the kernel took it; nothing here pretends.

Sources: Landlock kernel documentation (ABI 1..7), seccomp(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from functools import cache

from models.media.limits import Limits

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CLONE_THREAD = 0x00010000
_NOBODY = 65534

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
# the number of file rights each ABI knows; asking for an unknown one is an error
_LANDLOCK_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_LANDLOCK_FS_RIGHTS_LATEST = 16
_LANDLOCK_TCP_BIND_AND_CONNECT = 0b11
_LANDLOCK_SCOPE_UNIX_SOCKETS_AND_SIGNALS = 0b11

# x86-64 numbers of calls that no decoder makes: sockets, new processes and programs, other
# processes' memory and signals, name spaces, kernel modules and keys, io_uring (which would go
# round both filters)
_DENIED_X86_64 = (
    *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307),
    *(57, 58, 59, 62, 322),
    *(101, 310, 311, 312, 424, 434, 438),
    *(161, 165, 166, 272, 304, 308, 428, 429, 430, 431, 432, 442),
    *(175, 313, 246, 248, 249, 250, 298, 321, 323),
    *(425, 426, 427),
)
_CLONE_X86_64 = 56
_CLONE3_X86_64 = 435
_AUDIT_ARCH_X86_64 = 0xC000003E
_X32_BIT = 0x40000000

_RET_ALLOW = 0x7FFF0000
_RET_KILL = 0x80000000
_RET_EPERM = 0x00050001
_RET_ENOSYS = 0x00050026
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prepare() -> None:
    """Do once, in the fork server, what every child would do alike: what a child writes to is copied first."""
    libc = _libc()
    _ = libc.prctl, libc.syscall
    landlock_abi()
    _filter_program()


def release_freed_memory() -> None:
    """Give what was freed back to the kernel: a child gets new pages for less than copies of what lies in old ones."""
    _libc().malloc_trim(0)


def isolate_network() -> bool:
    """Move this single-threaded process into a network name space without interfaces.

    Returns:
        Whether the kernel allowed it: as root, or else through a user name space.
    """
    libc = _libc()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    return bool(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent``, which forked it, goes away."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def confine(limits: Limits, parent: int) -> dict[str, bool]:
    """Give up everything that decoding does not need. Irreversible.

    Args:
        limits: Memory, processor time and descriptors.
        parent: Process id of the fork server.

    Returns:
        Measure -> whether the kernel took it.
    """
    libc = _libc()
    ceiling = _address_space_bytes() + limits.extra_memory_bytes
    landlock = _landlock_ruleset(libc)
    taken = {"unprivileged_user": _drop_root()}
    die_with_parent(parent)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.max_descriptors, limits.max_descriptors))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    taken["no_new_privileges"] = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    taken["landlock"] = landlock >= 0 and libc.syscall(_LANDLOCK_RESTRICT_SELF, landlock, 0) == 0
    if landlock >= 0:
        os.close(landlock)
    taken["seccomp"] = _filter_system_calls(libc)
    return taken


def _address_space_bytes() -> int:
    statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(statm, 256).split()[0]) * resource.getpagesize()
    finally:
        os.close(statm)


def _drop_root() -> bool:
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:  # a user name space that maps root alone
        return False
    return True


@cache
def landlock_abi() -> int:
    """Version of Landlock in this kernel, 0 without it."""
    return max(0, int(_libc().syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1)))


def _landlock_ruleset(libc: ctypes.CDLL) -> int:
    """Descriptor of a rule set that handles every right and grants none; -1 without Landlock."""
    abi = landlock_abi()
    if abi < 1:
        return -1
    files = (1 << _LANDLOCK_FS_RIGHTS.get(abi, _LANDLOCK_FS_RIGHTS_LATEST)) - 1
    fields = [files]
    if abi >= 4:
        fields.append(_LANDLOCK_TCP_BIND_AND_CONNECT)
    if abi >= 6:
        fields.append(_LANDLOCK_SCOPE_UNIX_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"<{len(fields)}Q", *fields)
    return int(libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0))


def _filter_system_calls(libc: ctypes.CDLL) -> bool:
    if os.uname().machine != "x86_64":
        return False
    program = ctypes.byref(_filter_program())
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0) == 0)


@cache
def _filter_program() -> _FilterProgram:
    code = b"".join(
        struct.pack("<HBBI", operation, when_true, when_false, value)
        for operation, when_true, when_false, value in _bpf_program()
    )
    # ctypes keeps what a pointer in a structure points to
    return _FilterProgram(len(code) // 8, ctypes.cast(ctypes.create_string_buffer(code, len(code)), ctypes.c_void_p))


def _bpf_program() -> list[tuple[int, int, int, int]]:
    """Classic BPF over ``struct seccomp_data``: (operation, jump if true, jump if false, value)."""
    number, architecture, first_argument = 0, 4, 16
    program = [
        (_LOAD, 0, 0, architecture),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH_X86_64),
        (_RETURN, 0, 0, _RET_KILL),
        (_LOAD, 0, 0, number),
        (_JUMP_GREATER_EQUAL, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _RET_KILL),
        # glibc falls back from clone3 to clone, whose flags a filter can see
        (_JUMP_EQUAL, 0, 1, _CLONE3_X86_64),
        (_RETURN, 0, 0, _RET_ENOSYS),
    ]
    for call in _DENIED_X86_64:
        program += [(_JUMP_EQUAL, 0, 1, call), (_RETURN, 0, 0, _RET_EPERM)]
    return [
        *program,
        (_JUMP_EQUAL, 0, 3, _CLONE_X86_64),
        (_LOAD, 0, 0, first_argument),
        (_JUMP_BITS, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _RET_EPERM),
        (_RETURN, 0, 0, _RET_ALLOW),
    ]
