"""Backups: databases, objects and keys in one folder, and their restoration.

`create.make_backup` and `restore.restore_backup` do the work, `recovery.settle` ends a restore that
was cut short. `dump` runs pg_dump; `manifest` lists the files with checksums. When restoring,
`folder` and `archive` read the backup, which is not trusted; `fill` and `load` fill the new
`databases`; `journal` says how far it is. This room knows Postgres, the object store, the lake and
Dagster's tables, and nothing of HTTP or the command line, which passes in a `Progress`.
"""
