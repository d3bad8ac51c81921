"""What keeps a store sound and small: every file is looked at, and what nobody needs is swept."""
