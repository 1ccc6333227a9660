"""Writes the names of PostgreSQL's built-in functions and operators, as real servers have them.

    python tools/list_postgres_builtins.py DSN [DSN …] > src/interlock/protocols/postgres/classify_builtins.py

Ask fresh clusters (initdb and nothing else) of every major version that is to be known. Only names are written, and of
functions only those of which no version has a volatile form: those are decided by hand in ``catalogue.py``.
"""

import sys
import textwrap

import psycopg

_FUNCTIONS = """
    SELECT n.nspname, p.proname, bool_or(p.provolatile = 'v')
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace GROUP BY 1, 2
"""
_OPERATORS = "SELECT DISTINCT oprname FROM pg_catalog.pg_operator"

_HEADER = '''"""Names of PostgreSQL's own functions and operators. Written by tools/list_postgres_builtins.py.

Servers asked: {servers}. Of the functions, those of which no form is volatile.
"""

'''


def main(dsns: list[str]) -> None:
    """Ask the servers and write the module to standard output."""
    steady: dict[str, set[str]] = {"pg_catalog": set(), "information_schema": set()}
    volatile: set[str] = set()
    operators: set[str] = set()
    versions = []
    for dsn in dsns:
        with psycopg.connect(dsn) as connection:
            versions.append(str(connection.info.server_version // 10000))
            for schema, name, is_volatile in connection.execute(_FUNCTIONS):
                (volatile if is_volatile else steady[schema]).add(name)
            operators |= {name for (name,) in connection.execute(_OPERATORS)}
    write = sys.stdout.write
    write(_HEADER.format(servers=", ".join(sorted(versions))))
    for title, names in (
        ("STEADY_FUNCTIONS", steady["pg_catalog"] - volatile),
        ("INFORMATION_SCHEMA_FUNCTIONS", steady["information_schema"] - volatile),
        ("OPERATORS", operators),
    ):
        lines = textwrap.wrap(" ".join(sorted(names)), 116, break_long_words=False, break_on_hyphens=False)
        body = "\n".join(f"    {line}" for line in lines)
        write(f'_{title} = r"""\n{body}\n"""\n{title} = frozenset(_{title}.split())\n\n')


if __name__ == "__main__":
    main(sys.argv[1:])
