"""The colours of the review window, RGB."""

BACK = (22, 23, 26)
BAR = (34, 36, 41)
TEXT = (234, 234, 230)
QUIET = (156, 159, 166)
ACCENT = (255, 193, 61)
GREEN = (104, 206, 138)
RED = (245, 108, 102)
WARNING = (255, 154, 88)
THIN = (128, 205, 255)
