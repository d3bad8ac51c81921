"""What became of every photo, for people: the funnel, and one page with pictures."""
