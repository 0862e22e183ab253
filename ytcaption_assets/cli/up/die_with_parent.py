"""Start a program that ends with its parent: `die_with_parent.py PARENT_PID PROGRAM ARGUMENT...`.

Run as a file by `python -I -S`, it imports nothing of ours and becomes the program, so it costs
some 10 ms and no process. Set in the child itself, since code between fork and exec in a process
with threads can deadlock. Only Linux can do it; elsewhere the next `ytcaption up` ends the rest.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    # Inherited from a shell's `&` or nohup, SIG_IGN would make Dagster ignore SIGTERM too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("The parent has gone.")
    os.execv(program[0], program)  # noqa: S606 -- a list, no shell
