"""StyleGAN2: records in, a trained generator out."""

from atelier import stop

stop.quiet_start()
