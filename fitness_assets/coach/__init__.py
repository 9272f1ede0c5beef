"""The coach: 30-day plans for people with a goal, with honest intervals, and the page that serves them."""
