"""Start a program that ends with its parent: `die_with_parent.py PARENT_PID PROGRAM ARGUMENT...`.

Run as a file by `python -I -S`, it imports none of our modules and then becomes the program, which
costs about 10 ms and no extra process. The child sets the signal itself, because code between fork
and exec can deadlock in a process with threads. This works on Linux only; on other systems the next
`ytcaption up` ends orphaned processes.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    # SIG_IGN, inherited from a shell's `&` or nohup, would make Dagster ignore SIGTERM, too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The parent process has ended.")
    os.execv(program[0], program)  # noqa: S606 -- a list, no shell
