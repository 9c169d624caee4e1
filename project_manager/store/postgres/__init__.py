"""PostgreSQL: all that differs from the other database. Nothing above the store imports it."""
