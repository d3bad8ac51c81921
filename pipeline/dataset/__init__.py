"""The finished pictures as a dataset that trainers read: packed, labelled, described, copied."""
