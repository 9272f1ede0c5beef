"""`python -m fitness_assets.sample`."""

from fitness_assets.sample import main

main()
