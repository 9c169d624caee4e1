"""SQL statements, one module per resource, the tables, and the connections to SQLite and PostgreSQL.

No other package contains SQL.
"""
