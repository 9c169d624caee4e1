"""What the commands do, one module for each kind of them. Reading arguments is left to cli.py."""
