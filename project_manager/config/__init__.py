"""Settings: names, parsers, sources, and the rules between them. No import from another package of the project."""
