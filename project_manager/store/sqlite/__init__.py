"""SQLite: connections of the writer, the readers and the tail, migration, search, files, backup and restore."""
