"""Entry point of `python -m fitness_assets`; the commands are in `cli.py`."""

from fitness_assets.cli import main

if __name__ == "__main__":
    main(prog_name="python -m fitness_assets")
