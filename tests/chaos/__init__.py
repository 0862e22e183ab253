"""The real product while its processes are killed, and what must hold afterwards: README.md."""

import os

from resources.processes.native_threads import decoding_environment

# As in the product's processes, and before numpy is imported: with other threads the same recording
# is transcribed slightly differently.
os.environ.update(decoding_environment(os.environ))
