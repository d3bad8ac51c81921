"""Augmentation of what the discriminator sees (arXiv 2006.06676)."""

# Which groups of changes each pipe makes, in this order: an option's values.
PIPES = {
    "blit": ("blit",),
    "geom": ("geom",),
    "color": ("color",),
    "filter": ("filter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
    "bg": ("blit", "geom"),
    "bgc": ("blit", "geom", "color"),
    "bgcf": ("blit", "geom", "color", "filter"),
    "bgcfn": ("blit", "geom", "color", "filter", "noise"),
    "bgcfnc": ("blit", "geom", "color", "filter", "noise", "cutout"),
}


def check_pipe(name: str) -> None:
    """Raise ValueError, saying what there is, for a name that no pipe has."""
    if name not in PIPES:
        raise ValueError(f"choose one of {', '.join(PIPES)}")
