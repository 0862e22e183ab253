"""The `ytcaption` command without its imports: forked from a process that has made them.

The documentation has some eighty commands, and most of what one takes is imports. A server holds
the code; the program that `install()` writes sends it arguments, folder, environment and its
standard streams, and ends as the command does.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from tests.support.patience import wait_for

PROGRAM = """#!{python} -IS
import json, os, socket, struct, sys
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
order = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [struct.pack("!I", len(order))], [0, 1, 2])
server.sendall(order)
answer = server.recv(1)
sys.exit(answer[0] if answer else 70)
"""


def install(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the server and write the program `ytcaption` into the folder; end the process."""
    path = folder / "command.sock"
    program = folder / "ytcaption"
    program.write_text(PROGRAM.format(python=sys.executable, path=str(path)))
    program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.support.preloaded_command", str(path)],
        cwd=Path(__file__).parents[2],
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    wait_for(lambda: path.exists() or server.poll() is not None, 60)
    assert server.poll() is None
    return server


def _serve(path: str) -> None:
    import ytcaption_assets.cli.main
    import ytcaption_assets.definitions  # and what it imports: commands do so as they go

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{path}.new")
    listener.listen(8)
    Path(f"{path}.new").rename(path)
    while True:
        client, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _obey(client, ytcaption_assets.cli.main.run)
        client.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _obey(client: socket.socket, run) -> None:
    """Be the command, and tell the client how it ended."""
    code = 70
    try:
        head, streams, _, _ = socket.recv_fds(client, 4, 3)
        order = b""
        while len(order) < struct.unpack("!I", head)[0]:
            order += client.recv(65536)
        arguments, directory, environment = json.loads(order)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["ytcaption", *arguments]
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        client.sendall(bytes([code & 255]))
        os._exit(code & 255)


if __name__ == "__main__":
    _serve(sys.argv[1])
