"""`make bench`: accuracy and speed of everything in one run."""

import subprocess
import sys

BENCHMARKS = ("benchmarks.accuracy", "benchmarks.system", "benchmarks.graph")

if __name__ == "__main__":
    statuses = [
        subprocess.run([sys.executable, "-m", name, *sys.argv[1:]]).returncode
        for name in BENCHMARKS
    ]
    sys.exit(max(statuses))
