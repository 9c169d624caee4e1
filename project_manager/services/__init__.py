"""Use cases: plain functions `f(tx, command) -> view`, a module per resource. No await, no input or output, no SQL."""
