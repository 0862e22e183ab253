"""Protocol between the run launcher and the run server: one JSON object per line.

The launcher sends a LaunchRequest. The server answers with a `process` that waits, with `again`
(it is restarting with new code: send the request again), or with `refused` and the reason. The
process begins when it receives GO and ends if the launcher disconnects: a run that the launcher has
given up is never executed twice.
"""

import socket
from dataclasses import asdict, dataclass
from typing import Self

from resources.processes.line_protocol import read_line, send_line

GO = b"go\n"

NOT_BEGUN = 75
"""Exit status of a process that never received GO: another process executes its run."""


@dataclass(frozen=True)
class LaunchRequest:
    """A run to start; without `run_id` only a check that the server answers.

    Attributes:
        run_id: Dagster's.
        arguments: serialized ExecuteRunArgs, as `dagster api execute_run` takes them.
        executable: the interpreter the run was created for.
        code_server: id of the code server that created the run; a new id means reloaded code.
    """

    run_id: str = ""
    arguments: str = ""
    executable: str = ""
    code_server: str = ""

    @classmethod
    def read(cls, connection: socket.socket) -> Self:
        """Read the next request.

        Raises:
            OSError: none was received.
            ValueError, TypeError: it is malformed.
        """
        return cls(**read_line(connection))

    def send(self, connection: socket.socket) -> None:
        """Send the request.

        Raises:
            OSError: the server does not read it.
        """
        send_line(connection, asdict(self))
