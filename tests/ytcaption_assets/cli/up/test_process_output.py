"""Output of many processes on one console."""

import io
import os
import subprocess
import sys

from rich.console import Console

from ytcaption_assets.cli.up.process_output import ProcessOutput


def written(lines: bytes, **options) -> str:
    text = io.StringIO()
    output = ProcessOutput(Console(file=text, **options), ["up", "daemon"])
    read, write = os.pipe()
    thread = output.follow("daemon", os.fdopen(read, "rb"))
    os.write(write, lines)
    os.close(write)
    thread.join(5)
    return text.getvalue()


def test_each_line_has_its_process_as_prefix():
    """So has an incomplete last line."""
    assert written(b"one\ntwo [x]") == "daemon │ one\ndaemon │ two [x]\n"


def test_colours_are_kept_on_a_terminal_only():
    """A file gets plain text."""
    coloured = b"\x1b[31mred\x1b[0m\n"
    assert written(coloured) == "daemon │ red\n"
    assert "\x1b[31mred" in written(coloured, force_terminal=True, color_system="standard")


def test_untrusted_control_sequences_are_removed():
    """A title with terminal escapes in a log line cannot reset, retitle or move in the terminal."""
    text = written(b"a\x1bc\x1b]0;t\x07b\x1b[2Jc\rd\x9be\n", force_terminal=True, color_system=None)
    assert text == "daemon │ a" + "c]0;tbcd�e\n"


def test_long_lines_are_written_in_pieces():
    """A line without end does not grow in memory."""
    lines = written(b"x" * 40_000 + b"\n").splitlines()
    assert len(lines) == 3
    assert all(line.startswith("daemon │ x") for line in lines)


def test_a_closed_output_is_reported_once():
    """The output of the processes is still read."""
    code = """
import sys
from rich.console import Console
from ytcaption_assets.cli.up.process_output import ProcessOutput
output = ProcessOutput(Console(), ["up"], on_broken=lambda: sys.stderr.write("closed "))
sys.stdin.readline()
for line in ("one", "two"):
    output.write("up", line)
sys.stderr.write(" ".join(output.last_lines("up")))
"""
    writer = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    writer.stdout.close()
    writer.stdout = None
    assert writer.communicate("go\n")[1] == "closed one two"
