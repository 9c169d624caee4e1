"""The error of a setting."""


class ConfigError(Exception):
    """Error of a setting. The message is one sentence with its name, or with its file, and what is valid."""
