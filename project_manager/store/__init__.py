"""SQL statements shared by all databases, one module per resource, and the tables.

No other package contains SQL.
"""
