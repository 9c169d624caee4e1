"""Settings: names, parsers, sources, and the rules between them. Imports nothing of the package."""
