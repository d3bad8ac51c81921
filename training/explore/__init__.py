"""What a generator can draw, and what D thinks of photos: pictures, sheets and films of them."""
