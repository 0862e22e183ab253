"""The `ytcaption` command: one room per group of commands.

`main` defines the command and `transcribe`; `database` opens the database, `progress` shows
progress bars, and `terminal_text` makes untrusted text printable. Commands import what they need
when they run, so that `ytcaption --help` starts quickly, and raise `YtcaptionError`, which
`main.run` turns into one sentence and an exit status. No other package may import this one.
"""
