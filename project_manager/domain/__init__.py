"""Pure rules on values and `now`: statuses, leases, readiness, limits, errors. Imports the standard library only."""
