#!/usr/bin/env bash
# Builds language-model for CUDA and tries it: on the GPU if there is one, and that it says what is
# the matter if there is none. It needs nvcc (CUDA 12 or 13) on the path; the build takes about ten
# minutes. Without a GPU, set CUDA_COMPUTE_CAP (90 for an H100, 86 for an RTX 30), which is asked of
# the GPU otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v nvcc > /dev/null; then
    echo "nvcc is not on the path: install the CUDA toolkit, or add its bin folder to PATH" >&2
    exit 2
fi
cargo build --release --features cuda -p language-model
target="${CARGO_TARGET_DIR:-target}"

# The driver's library (libcuda) and the toolkit's (libcublas, libcurand, libnvrtc) are found by
# the system's loader; add their folders to LD_LIBRARY_PATH if it does not find them.
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
yes 'the cat sat on the mat.' | head -n 400 > "$folder/text.txt" || true
try() {
    "$target/release/language-model" train --data "$folder/text.txt" --out "$folder/$1" --device "$1" \
        --hidden-size 32 --embedding-size 16 --layers 1 --batch 4 --epochs 2
}
try cpu
if nvidia-smi -L 2> /dev/null | grep -q GPU; then
    try cuda
    cargo test --release --features cuda -p candle-rnn
    echo "the CPU and the GPU both train"
elif try cuda; then
    echo "--device cuda worked, though no GPU was found" >&2
    exit 1
else
    echo "there is no GPU here: the CPU trains, and --device cuda says so (above)"
fi
