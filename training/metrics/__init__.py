"""How good fakes are: FID, KID, precision and recall, and their stand-ins."""
