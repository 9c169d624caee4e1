"""Use cases: plain functions `f(tx, command) -> view`, by resource. No await, no I/O; SQL stays below, doors
stay above.
"""
