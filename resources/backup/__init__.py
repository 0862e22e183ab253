"""Backups: databases, objects and keys in one folder, and their restoration.

`create.make_backup` and `restore.restore_backup` do the work; `dump` runs pg_dump and pg_restore;
`manifest` lists the files with checksums. This room knows Postgres, the object store and the lake,
and nothing of HTTP or the command line, which passes in a `Progress`.
"""
