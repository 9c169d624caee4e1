"""The error of a setting."""


class ConfigError(Exception):
    """Error of a setting. The message is one sentence: the setting or its file, the problem, and the remedy."""
