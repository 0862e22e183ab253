"""The environment for fast decoding: added values, and values that are kept."""

import subprocess
import sys

from resources.processes.native_threads import decoding_environment

_PROGRAM = """
import os, sys
from resources.processes.native_threads import restart_for_decoding
print("begun", flush=True)
restart_for_decoding()
print(os.environ["GLIBC_TUNABLES"], os.environ["OMP_WAIT_POLICY"], sys.argv[1:])
"""


def test_values_set_by_an_operator_are_kept():
    """Only missing values are added, and only once."""
    given = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4:glibc.rtld.nns=4", "OTHER": "x"}
    environment = decoding_environment(given | {"OPENBLAS_NUM_THREADS": "2"})
    assert environment == {
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=4:glibc.rtld.nns=4:glibc.malloc.hugetlb=1",
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OTHER": "x",
    }
    assert decoding_environment(environment) == environment


def test_a_process_restarts_once_with_its_arguments():
    """As `ytcaption worker` does when started by hand."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "a b", "c"],
        env={"PATH": "", "OMP_WAIT_POLICY": "ACTIVE"},
        capture_output=True,
        text=True,
        check=True,
    )
    tunables = "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1"
    assert done.stdout.splitlines() == ["begun", "begun", f"{tunables} ACTIVE ['a b', 'c']"]
