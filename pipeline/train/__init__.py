"""What is trained on a dataset, as Luigi tasks: a generator, a detector of one's own crop."""
