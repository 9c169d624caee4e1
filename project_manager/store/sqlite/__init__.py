"""What is particular to SQLite: connections, the writer, readers, search, files, backup and restore."""
