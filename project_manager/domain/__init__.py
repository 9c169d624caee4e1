"""Pure rules on values: statuses, leases, readiness, limits, errors. Imports only `clock` and the standard library."""
