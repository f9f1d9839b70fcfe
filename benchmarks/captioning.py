#!/usr/bin/env python3
"""Compares captioning with PyTorch: looking with EfficientNet-Lite0, training the decoder, and captions by beam search.

The peers are measured in turn, round after round, as by `compare.py`.
"""

import json
import os
import pathlib
import random
import subprocess
import tempfile
import tomllib

import compare
from compare import Failure
from translation import agreement

# The decoder of the crate `captioning`, with its defaults.
NETWORK = {
    "decoder": "attend",
    "cell": "gru",
    "region_size": 256,
    "embedding_size": 256,
    "hidden_size": 256,
    "attention_size": 256,
    "gate": True,
    "surroundings": False,
    "words": False,
    "dropout": 0.3,
    "matmul": "full",
}
# Of the vocabulary, and the symbol that ends a caption, unless the model has its own.
SYMBOLS, END = 2000, 0
SEEDED = random.Random(0)
LOOKING = {"kind": "looking", "batch": 16, "size": 224}
TRAINING = {
    "kind": "training",
    "lengths": [SEEDED.randint(3, 13) for _ in range(64)],
    "label_smoothing": 0.1,
    "clip": 1.0,
    "rate": 0.001,
}
CAPTIONS = {"kind": "captions", "pictures": 1000, "beam": 3, "length_penalty": 0.0, "longest": 20}
# Pictures side by side in PyTorch's search, of which the fastest counts.
BATCHES = [64, 125, 250]
ROWS = [
    {"name": "EfficientNet-Lite0, 16 pictures of 224×224", "bar": 1 / 1.5, **LOOKING},
    {"name": "training step of the decoder, 64 captions", "bar": 1.5, **TRAINING},
    *({"name": f"captions of 1000 pictures, beam 3 (PyTorch: {batch} at once)", "bar": 4.0, "batch": batch, **CAPTIONS}
      for batch in BATCHES),
]


def make(command):
    if subprocess.run(command).returncode != 0:
        raise Failure(f"{command[0]} has made no weights: see above")


def find_model(worker, arguments, folder):
    """The decoder: its settings, symbols, end and the file of its weights."""
    if arguments.model:
        config = tomllib.loads((arguments.model / "config.toml").read_text())
        words = json.loads((arguments.model / "tokenizer.json").read_text())["tokenizer"]["model"]["vocab"]
        weights = arguments.model / "model.safetensors"
        return {"network": config["network"], "vocab": config["vocab"], "end": words["\n"], "weights": str(weights)}
    weights = folder / "model.safetensors"
    make([worker, "weights", "--network", json.dumps(NETWORK), "--vocab", str(SYMBOLS), "--out", str(weights)])
    return {"network": NETWORK, "vocab": SYMBOLS, "end": END, "weights": str(weights)}


def find_encoder(arguments, script, folder):
    """The file of the weights of EfficientNet-Lite0."""
    if arguments.encoder_weights:
        return str(arguments.encoder_weights)
    weights = folder / "encoder.safetensors"
    make([arguments.python, script, "weights", str(weights)])
    return str(weights)


def parse_arguments():
    shared = os.environ.get("CANDLE_RNN_DATA")
    encoder = pathlib.Path(shared) / "efficientnet-lite0" / "efficientnet-lite0.safetensors" if shared else None

    def add(parser):
        parser.add_argument(
            "--encoder-weights",
            type=pathlib.Path,
            default=encoder,
            metavar="FILE",
            help="EfficientNet-Lite0 ($CANDLE_RNN_DATA/efficientnet-lite0, or random weights)",
        )
        parser.add_argument(
            "--model", type=pathlib.Path, metavar="FOLDER", help="a model with EfficientNet-Lite0 (random weights)"
        )
        parser.add_argument(
            "--features",
            type=pathlib.Path,
            metavar="FILE",
            help="what `captioning features` keeps of 1000 pictures or more (noise)",
        )

    return compare.parse_arguments(__doc__, ROWS, ["ours", "pytorch"], threads=[2], add=add)


def main():
    arguments = parse_arguments()
    commands, versions = compare.find_peers(
        arguments, "captioning", "captioning_pytorch.py", ["torch", "safetensors"]
    )
    if set(commands) != {"ours", "pytorch"}:
        raise Failure("captioning is compared with PyTorch or not at all")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = find_model(commands["ours"][0], arguments, folder)
        encoder = find_encoder(arguments, commands["pytorch"][1], folder)
        for number, row in enumerate(arguments.rows):
            row |= {"weights": encoder} if row["kind"] == "looking" else model
            if row["kind"] == "captions":
                row |= {"features": str(arguments.features) if arguments.features else None}
                row |= {"write": str(folder / f"captions-{number}")}
        for result in compare.run_all(arguments, commands, versions):
            row = result["row"]
            print(f"\n{row['name']}, {compare.threads_in_words(result['threads'])}:")
            print(*compare.checks(result["peers"]), sep="\n")
            if row["kind"] == "captions":
                files = [pathlib.Path(row["write"]).with_suffix(f".{peer}") for peer in ["ours", "pytorch"]]
                if all(file.exists() for file in files):
                    print(*agreement(files), sep="\n")


if __name__ == "__main__":
    compare.enter(main)
