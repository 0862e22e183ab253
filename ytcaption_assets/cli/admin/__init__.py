"""Commands for operators: `admin`, `keys`, `backup`, `restore`, `doctor` and `replay`.

They work on the database directly, whether `ytcaption up` runs or not. Public: the functions and
Typer apps that `cli.main` registers, and `print_findings` and `make_checks` of `doctor`. The room
only parses options and prints results; the work is in resources/admin, resources/maintenance,
resources/backup and resources/auth. It must not know HTTP.
"""
