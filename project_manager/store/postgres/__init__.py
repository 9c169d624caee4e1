"""PostgreSQL: connections of the writer, the readers and the tail, migration, search, and checks."""
