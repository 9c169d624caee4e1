"""The commands, their options and exit statuses. Each command loads only its own libraries.

Only `main.py` parses arguments. Commands that work on the database run their operations through the runtime.
"""
