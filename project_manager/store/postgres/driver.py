"""PostgreSQL driver: connections and the SQL dialect."""

import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from project_manager.store.connection import Dialect
from project_manager.store.postgres.search import TsvectorIndex

DIALECT = Dialect(PGDialect_psycopg(paramstyle="numeric_dollar"), psycopg.Error, TsvectorIndex())
