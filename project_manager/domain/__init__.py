"""Pure rules on values and `now`: statuses, leases, readiness, limits, errors. No imports but the standard library."""
