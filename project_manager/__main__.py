"""`python -m project_manager` is the command `project-manager`."""

from project_manager.cli import main

if __name__ == "__main__":
    main(prog_name="project-manager")
