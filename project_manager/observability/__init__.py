"""Log lines, metrics, and reports to systemd."""
