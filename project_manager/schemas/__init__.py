"""Inputs (commands) and outputs (views) of operations, and validation.

This package has no business rules and no SQL.
"""
