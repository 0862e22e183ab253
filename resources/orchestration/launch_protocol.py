"""What the run launcher and the run server say to each other, one JSON object a line.

The launcher sends a LaunchRequest. The server answers with a `process` that waits, with `again`
(it becomes fresh; ask again), or with `refused` and why. The process begins at GO, and ends where
the launcher has gone instead: so a run that the launcher has given up is never done twice.
"""

import socket
from dataclasses import asdict, dataclass
from typing import Self

from resources.processes.line_protocol import read_line, send_line

GO = b"go\n"

NOT_BEGUN = 75
"""Exit status of a process that was never told to go: its run is somebody else's."""


@dataclass(frozen=True)
class LaunchRequest:
    """A run to start; without `run_id` only a question whether the server is there.

    Attributes:
        run_id: Dagster's.
        arguments: serialized ExecuteRunArgs, as `dagster api execute_run` takes them.
        executable: the interpreter that the run was made for.
        code_server: id of the code server that the run was made by; another one, other code.
    """

    run_id: str = ""
    arguments: str = ""
    executable: str = ""
    code_server: str = ""

    @classmethod
    def read(cls, connection: socket.socket) -> Self:
        """The request that comes next.

        Raises:
            OSError: it did not come.
            ValueError, TypeError: it is none.
        """
        return cls(**read_line(connection))

    def send(self, connection: socket.socket) -> None:
        """Write it.

        Raises:
            OSError: nobody reads.
        """
        send_line(connection, asdict(self))
