"""Pure rules on values and `now`: statuses, leases, readiness, limits, errors.

This package imports the standard library only.
"""
