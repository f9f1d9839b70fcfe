#!/usr/bin/env python3
"""Compares log-mel features of ten minutes of sound with torchaudio's, on one thread.

The peers are measured in turn, round after round, as by `compare.py`.
"""

import array
import pathlib
import tempfile

import compare

SIGNAL = {"kind": "features", "rate": 16_000, "seconds": 600, "bands": 80, "scale": 0.1}
ROWS = [
    {"name": "kaldi.fbank", "preset": "kaldi_fbank", "bar": 3.0, **SIGNAL},
    {"name": "MelSpectrogram", "preset": "torchaudio_mel", "bar": 3.0, **SIGNAL},
]


def read(file):
    values = array.array("f")
    values.frombytes(file.read_bytes())
    return values


def agreement(write):
    """How far the features of both are the same."""
    ours, theirs = (read(pathlib.Path(write).with_suffix(f".{peer}")) for peer in ["ours", "pytorch"])
    if len(ours) != len(theirs):
        return f"- **{len(ours)} and {len(theirs)} numbers**"
    largest = max(abs(a - b) for a, b in zip(ours, theirs))
    return f"- {len(ours)} numbers up to {max(map(abs, theirs)):.3g} differ by at most {largest:.1e}"


def main():
    arguments = compare.parse_arguments(__doc__, ROWS, ["ours", "pytorch"], threads=[1])
    peers = compare.find_peers(arguments, "speech", "speech_pytorch.py", ["torch", "torchaudio"])
    with tempfile.TemporaryDirectory() as folder:
        for row in arguments.rows:
            row["write"] = str(pathlib.Path(folder) / row["preset"])
        for result in compare.run_all(arguments, *peers):
            print(f"\n{result['row']['name']}, {compare.threads_in_words(result['threads'])}:")
            print(*compare.checks(result["peers"]), sep="\n")
            if all("check" in result["peers"].get(name, {}) for name in ["ours", "pytorch"]):
                print(agreement(result["row"]["write"]))


if __name__ == "__main__":
    compare.enter(main)
