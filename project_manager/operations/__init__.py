"""The rows of the catalogue, a module for each kind of thing, and what a row says. Rows only: no rule and no SQL."""
