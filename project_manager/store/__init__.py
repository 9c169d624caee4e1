"""Statements shared by all databases, a module per resource, and the tables. SQL lives here and nowhere else."""
