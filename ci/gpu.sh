#!/usr/bin/env bash
# On a machine with an NVIDIA GPU where nothing can be installed or downloaded: tests, sanitizer and figures of the sample
# and of every template, from wheels that were built elsewhere.
#
#   ci/gpu.sh WHEELHOUSE [--out FOLDER] [--seconds 460] [--seed 1]
#
# `nox -s gpu-wheelhouse` makes WHEELHOUSE. The machine gives its own Python (or PYTHON), torch and compute-sanitizer.
# What tells most comes first; each part's result is a file in FOLDER as soon as it is there; nothing runs past --seconds.
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu/session.py" "$@"
