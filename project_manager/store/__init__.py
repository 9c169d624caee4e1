"""SQL statements, in the dialect of SQLite, one module per resource, and the tables.

No other package contains SQL.
"""
