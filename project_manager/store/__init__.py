"""SQL lives here and nowhere else: the tables, the statements by resource, the one writer, the readers,
backup.
"""
