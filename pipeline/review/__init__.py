"""The review: a person looks at every portrait, mends its rectangle, accepts or refuses it."""
