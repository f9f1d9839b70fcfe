#!/usr/bin/env python3
"""Compares translation with PyTorch: the same model, trained for some steps and translating with a beam.

The peers are measured in turn, round after round, as by `compare.py`.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import tomllib

import compare
from compare import Failure, say

# The network of the crate `translation`, with its defaults.
NETWORK = {
    "cell": "gru",
    "embedding_size": 256,
    "encoder_size": 256,
    "encoder_layers": 1,
    "decoder_size": 512,
    "score": "additive",
    "attention_size": 256,
    "input_feeding": True,
    "tied": "all",
    "embedding_dropout": 0.3,
    "encoder_dropout": 0.3,
    "output_dropout": 0.3,
    "dropout_over_time": False,
    "matmul": "full",
}
TRAINING = {"label_smoothing": 0.1, "clip": 1.0, "rate": 0.001}
SEARCH = {"beam": 5, "length_penalty": 1.0}
# Of the vocabulary, unless the model has its own.
SYMBOLS = 6000


def make_data(worker, arguments, out):
    """Writes symbols for both peers; gives the size of the vocabulary."""
    part = lambda name, language: str(arguments.data / f"{name}.{language}.gz")
    command = [worker, "data", "--source", part("train", arguments.source), "--target"]
    command += [part("train", arguments.target), "--test", part("test_2016_flickr", arguments.source)]
    command += ["--out", str(out), "--vocab", str(SYMBOLS)]
    command += ["--batches", str(arguments.batches), "--tokens", str(arguments.tokens)]
    if arguments.sentences:
        command += ["--sentences", str(arguments.sentences)]
    if not arguments.cased:
        command.append("--lowercase")
    if arguments.model and (arguments.model / "tokenizer.json").exists():
        command += ["--tokenizer", str(arguments.model / "tokenizer.json")]
    if subprocess.run(command).returncode != 0:
        raise Failure("no data: see above")


def find_model(worker, arguments, folder):
    """The network's settings and the file of its weights."""
    network = dict(NETWORK)
    if arguments.model:
        config = arguments.model / "config.toml"
        if config.exists():
            network |= tomllib.loads(config.read_text()).get("network", {})
        return network, arguments.model / "model.safetensors"
    weights = folder / "model.safetensors"
    command = [worker, "weights", "--network", json.dumps(network)]
    command += ["--vocab", str(SYMBOLS), "--out", str(weights)]
    if subprocess.run(command).returncode != 0:
        raise Failure("no weights: see above")
    return network, weights


def measure(name, rows, peers, rounds):
    """What each peer checked and the seconds of its passes, measured in turn."""
    results = {}
    for peer in peers:
        say(f"{name}: preparing {compare.TITLES[peer]}")
        results[peer] = peers[peer].prepare(rows[peer]) | {"rounds": []}
    for number in range(rounds):
        order = list(peers) if number % 2 == 0 else list(peers)[::-1]
        for peer in order:
            results[peer]["rounds"].append(peers[peer].chosen.measure())
        both = ", ".join(f"{compare.TITLES[peer]} {seconds(results[peer])[-1]:.2f} s" for peer in peers)
        say(f"{name}: round {number + 1} of {rounds}: {both}")
    return results


def seconds(result):
    """Of each round."""
    return [statistics.median(samples) / 1e3 for samples in result["rounds"]]


def report(name, results, count, unit):
    """Lines about a part: `count` of `unit` in each pass."""
    yield f"**{name}**, {count} {unit}"
    yield ""
    for peer, result in results.items():
        times = seconds(result)
        chosen = {key: result[key] for key in ["oneDNN", "batch", "environment"] if result.get(key) is not None}
        yield (
            f"- {compare.TITLES[peer]}: {statistics.median(times):.2f} s "
            f"({min(times):.2f} to {max(times):.2f}), {count / statistics.median(times):.0f} {unit} per second"
            + (f"; {json.dumps(chosen)}" if chosen else "")
        )
    if "ours" in results and "pytorch" in results:
        ratios = [b / a for a, b in zip(seconds(results["ours"]), seconds(results["pytorch"]))]
        yield (
            f"- PyTorch ÷ ours: {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)"
        )
    yield from compare.checks(results)


def agreement(files):
    """How far what both have written is the same."""
    ours, theirs = (json.loads(file.read_text()) for file in files)
    same = [(a, b) for (x, a), (y, b) in zip(ours, theirs) if x == y]
    symbols = [sum(len(sentence) for sentence, _ in peer) for peer in [ours, theirs]]
    yield f"- symbols written: {symbols[0]} and {symbols[1]}"
    largest = max((abs(a - b) for a, b in same), default=0)
    yield f"- the same to the symbol: {len(same)} of {len(ours)}; of these ln p differs by at most {largest:.1e}"
    apart = [abs(a - b) for (x, a), (y, b) in zip(ours, theirs) if x != y]
    if apart:
        yield f"- of the others ln p differs by {min(apart):.1e} to {max(apart):.1e}"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = os.environ.get("CANDLE_RNN_DATA")
    folder = pathlib.Path(shared) / "multi30k" if shared else None
    parser.add_argument("--part", choices=["train", "translate"], help="only this (both)")
    parser.add_argument("--rounds", type=compare.positive, default=7, help="measurements of each peer (%(default)s)")
    parser.add_argument("--threads", type=compare.positive, default=min(2, os.cpu_count() or 1), metavar="N")
    parser.add_argument(
        "--data", type=pathlib.Path, default=folder, metavar="FOLDER", help="Multi30k ($CANDLE_RNN_DATA/multi30k)"
    )
    parser.add_argument("--source", default="de", metavar="LANGUAGE", help="(%(default)s)")
    parser.add_argument("--target", default="en", metavar="LANGUAGE", help="(%(default)s)")
    parser.add_argument("--cased", action="store_true", help="keep capital letters")
    parser.add_argument(
        "--model",
        type=pathlib.Path,
        metavar="FOLDER",
        help="model.safetensors and, where there are, config.toml and tokenizer.json (random weights)",
    )
    parser.add_argument("--batches", type=compare.positive, default=40, help="training steps of a pass (%(default)s)")
    parser.add_argument(
        "--tokens", type=compare.positive, default=1000, help="target symbols of a step at most (%(default)s)"
    )
    parser.add_argument(
        "--plain", action="store_true", help="PyTorch's search as it is mostly written, not the faster one"
    )
    parser.add_argument("--sentences", type=compare.positive, metavar="N", help="translate only the first N")
    parser.add_argument(
        "--peers", type=compare.list_of(str, ["ours", "pytorch"]), default=["ours", "pytorch"], help="(both)"
    )
    parser.add_argument("--python", default=sys.executable, metavar="INTERPRETER", help="a Python with torch")
    arguments = parser.parse_args()
    if not arguments.data or not arguments.data.is_dir():
        parser.error("where is Multi30k? See --data")
    return arguments


def main():
    arguments = parse_arguments()
    worker = compare.build("translation")
    commands = {"ours": [worker]}
    if "pytorch" in arguments.peers:
        torch = compare.find_version(arguments.python)
        commands["pytorch"] = [arguments.python, str(compare.FOLDER / "translation_pytorch.py")]
        print(f"commit {compare.commit()}, torch {torch}, {compare.threads_in_words(arguments.threads)}")
    commands = {name: commands[name] for name in arguments.peers}
    peers = {name: compare.Peer(name, command, arguments.threads) for name, command in commands.items()}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = folder / "data.safetensors"
        make_data(worker, arguments, data)
        network, weights = find_model(worker, arguments, folder)
        shared = {"network": network, "weights": str(weights), "data": str(data)}
        try:
            if arguments.part != "translate":
                row = {"kind": "train", **shared, **TRAINING}
                results = measure("training", dict.fromkeys(peers, row), peers, arguments.rounds)
                count = next(iter(results.values()))["check"]["target symbols"]
                print("", *report("training", results, int(count), "target symbols"), sep="\n", flush=True)
            if arguments.part != "train":
                files = {name: folder / f"{name}.json" for name in peers}
                row = {"kind": "translate", **shared, **SEARCH, "plain": arguments.plain}
                rows = {name: row | {"write": str(file)} for name, file in files.items()}
                results = measure("translation", rows, peers, arguments.rounds)
                count = next(iter(results.values()))["check"]["sentences"]
                print("", *report("translation", results, int(count), "sentences"), sep="\n")
                if len(files) == 2:
                    print(*agreement(files.values()), sep="\n")
        finally:
            for peer in peers.values():
                peer.end()


if __name__ == "__main__":
    compare.enter(main)
