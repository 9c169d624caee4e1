"""The commands, their options and exit codes. Each command loads its own libraries only.

Arguments are read in `main.py` alone. Commands that work on the database run their operations through the runtime.
"""
