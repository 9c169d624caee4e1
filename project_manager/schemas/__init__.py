"""Inputs (commands) and outputs (views) of operations, and validation. No rule and no SQL lives here."""
