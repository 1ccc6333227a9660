"""The state in PostgreSQL: the embedded server, the schema, the one unit of work."""
