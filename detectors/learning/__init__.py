"""Trains a detector of one's own crop from a hundred labelled pictures, and measures it.

Boxes inside this package are shares of the picture's width and height: left, top, right, bottom.
"""
