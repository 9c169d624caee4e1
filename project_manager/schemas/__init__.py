"""Inputs (commands) and outputs (views) of operations, and validation. No business rules, no SQL."""
