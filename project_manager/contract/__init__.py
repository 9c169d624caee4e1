"""The words of the API: inputs (commands) and outputs (views). No rule and no SQL lives here."""
