"""What each stage of a photo's way does: pure functions, a file a stage. `tasks.py` calls them."""
