"""The database: connections, schema, and the server of an installation.

`connection.Postgres` gives transactions with the rights of one part; `urls.database_urls` names the
databases. `embedded.running_postgres` keeps a server running, `migrate.migrate` creates and updates
its schema, `programs` runs pg_dump and its like, `upgrade` brings the embedded server's data to
another major version, `restore_mark` keeps everyone out while a restore has not ended.
`advisory_locks`, `notify`, `predicates` and `jsonb` are small parts that several rooms share. Apart
from `predicates`, this room must not know what the tables of the rooms above mean.
"""
