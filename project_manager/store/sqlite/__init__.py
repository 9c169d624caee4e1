"""The SQLite backend: connections, the writer, readers, search, files, backup and restore."""
