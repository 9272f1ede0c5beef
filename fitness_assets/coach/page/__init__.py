"""The coach's page: a person states a goal, moves sliders, sees 30 days with their interval, and accepts the plan."""
