"""The environment that decoding is quickest in: what is added, and what stays."""

import subprocess
import sys

from resources.processes.native_threads import decoding_environment

_TELL = """
import os, sys
from resources.processes.native_threads import restart_for_decoding
print("begun", flush=True)
restart_for_decoding()
print(os.environ["GLIBC_TUNABLES"], os.environ["OMP_WAIT_POLICY"], sys.argv[1:])
"""


def test_what_an_operator_has_set_stays():
    """Only what is missing is added, and once."""
    given = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4:glibc.rtld.nns=4", "OTHER": "x"}
    found = decoding_environment(given | {"OPENBLAS_NUM_THREADS": "2"})
    assert found == {
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=4:glibc.rtld.nns=4:glibc.malloc.hugetlb=1",
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OTHER": "x",
    }
    assert decoding_environment(found) == found


def test_a_process_begins_again_once_with_its_arguments():
    """As whoever starts `ytcaption worker` by hand has it."""
    done = subprocess.run(
        [sys.executable, "-c", _TELL, "a b", "c"],
        env={"PATH": "", "OMP_WAIT_POLICY": "ACTIVE"},
        capture_output=True,
        text=True,
        check=True,
    )
    tunables = "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1"
    assert done.stdout.splitlines() == ["begun", "begun", f"{tunables} ACTIVE ['a b', 'c']"]
