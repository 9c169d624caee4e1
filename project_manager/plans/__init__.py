"""Import and export of plans: YAML to plan, plan to differences, differences to rows, and rows to YAML."""
