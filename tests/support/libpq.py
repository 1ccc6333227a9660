"""libpq's environment variables as a connection string, for drivers that read none."""

from collections.abc import Mapping

from psycopg.conninfo import make_conninfo

_WORDS = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGSSLMODE": "sslmode",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLROOTCERT": "sslrootcert",
}


def conninfo_of(variables: Mapping[str, str]) -> str:
    return make_conninfo("", **{_WORDS[name]: value for name, value in variables.items() if name in _WORDS})
