"""Generator and discriminator: an architecture, tables of parameters, layers, the two networks."""
