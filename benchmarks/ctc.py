#!/usr/bin/env python3
"""Compares the CTC loss with PyTorch's: forward and backward pass, from logits to their gradient.

The peers are measured in turn, round after round, as by `compare.py`.
"""

import compare


def loss(batch, time, symbols, target, bar):
    """Rows of `time` frames with targets of `target` symbols; the blank is one of the `symbols`."""
    return {
        "name": f"CTC {batch}×{time}×{symbols}, targets of {target}",
        "bar": bar,
        "kind": "ctc",
        "batch": batch,
        "time": time,
        "symbols": symbols,
        "target": target,
        "scale": 3.0,
    }


ROWS = [loss(16, 200, 40, 40, 1.0), loss(32, 100, 30, 20, None), loss(8, 800, 60, 100, None)]


def main():
    arguments = compare.parse_arguments(__doc__, ROWS, ["ours", "pytorch"])
    peers = compare.find_peers(arguments, "speech", "speech_pytorch.py")
    for result in compare.run_all(arguments, *peers):
        print(f"\n{result['row']['name']}, {compare.threads_in_words(result['threads'])}:")
        print(*compare.checks(result["peers"]), sep="\n")


if __name__ == "__main__":
    compare.enter(main)
