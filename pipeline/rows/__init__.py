"""What is known about each picture, and where it is remembered: manifests, memo, decisions."""
