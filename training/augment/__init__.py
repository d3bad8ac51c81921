"""Augmentation of what the discriminator sees (arXiv 2006.06676)."""
