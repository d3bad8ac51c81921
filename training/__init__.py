"""StyleGAN2: records in, a trained generator out. Imports nothing of the other packages."""
