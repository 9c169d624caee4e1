"""The rows of the catalogue, a module per resource. Rows only: no rule and no SQL."""
