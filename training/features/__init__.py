"""Features of pictures, from networks of torch in a process of their own.

Nothing is imported here: torch would meet TensorFlow.
"""
