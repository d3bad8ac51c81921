"""Generators from files and into files, apart from the runs that trained them."""
