#!/usr/bin/env python3
"""Measures this repository, PyTorch, candle-nn and burn on the same shapes, and prints a table.

The peers are long-lived processes that wait on their standard input. For each row they are asked in
turn, round after round, so that whatever else happens on the machine meets all of them.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import time
import tomllib

FOLDER = pathlib.Path(__file__).resolve().parent
PEERS = ["ours", "pytorch", "candle-nn", "burn"]
TITLES = {"ours": "ours", "pytorch": "PyTorch", "candle-nn": "candle-nn", "burn": "burn"}

# Seconds that a peer measures in a round.
SECONDS = 0.4
# A peer whose iteration takes longer than this (ms) is in no close race: a few rounds are enough.
SLOW = 2000
SLOW_ROUNDS = 2
# OpenMP's threads spin for some milliseconds after their work; the next peer waits for that.
REST = 0.02
# Steps of the memory row.
STEPS = 10
# Relative difference up to which two peers are taken to compute the same thing in f32.
TOLERANCE = 1e-3


# The rows ------------------------------------------------------------------------------------------


def layer(cell, batch, steps, hidden, bar, lengths=None):
    names = {"lstm": "LSTM", "gru": "GRU", "tanh": "Elman"}
    name = f"{names[cell]} {batch}×{steps}×{hidden}"
    if lengths:
        name = f"bidirectional {name}, lengths {min(lengths)} to {max(lengths)}"
    return {
        "name": name,
        "bar": bar,
        "kind": "layer",
        "cell": cell,
        "batch": batch,
        "time": steps,
        "hidden": hidden,
        "bidirectional": lengths is not None,
        "lengths": lengths,
    }


def train(name, bar, **sizes):
    return {"name": name, "bar": bar, "kind": "train", "bf16": False, **sizes}


SHAPES = [(20, 35, 650), (32, 200, 256), (64, 100, 512), (1, 100, 128), (1, 1000, 256)]
SEEDED = random.Random(0)
LENGTHS = [200, 20] + [SEEDED.randint(20, 200) for _ in range(30)]
CHARACTER = {
    "vocab": 65,
    "embedding": 128,
    "hidden": 512,
    "layers": 2,
    "dropout": 0.5,
    "batch": 50,
    "time": 50,
    "clip": 5.0,
    "optimizer": "adam",
    "rate": 0.002,
}
WORD = {
    "vocab": 10_000,
    "embedding": 650,
    "hidden": 650,
    "layers": 2,
    "dropout": 0.5,
    "batch": 20,
    "time": 35,
    "clip": 0.25,
    "optimizer": "sgd",
    "rate": 1.0,
}
SMALL = CHARACTER | {"embedding": 64, "hidden": 128, "layers": 1, "dropout": 0.0, "batch": 32}
WRITING = {"vocab": 65, "embedding": 128, "hidden": 512, "layers": 2, "temperature": 0.8, "tokens": 200}

RECURRENT = dict(zip(["batch", "time", "hidden"], SHAPES[2]), kind="recurrent", bar=None)

# The bar is how many times faster than PyTorch we want to be, at the largest number of threads.
ROWS = [
    *(layer("lstm", *shape, bar) for shape, bar in zip(SHAPES, [1.3, 1.3, 1.3, 1.5, 1.5])),
    *(layer("gru", *shape, 1.8) for shape in SHAPES),
    *(layer("tanh", *shape, 1.3) for shape in SHAPES),
    layer("lstm", 32, 200, 256, 2.0, LENGTHS),
    {"name": "recurrent products of LSTM 64×100×512", **RECURRENT},
    train("training step, character model", 1.4, **CHARACTER),
    train("training step, character model, bf16", None, **CHARACTER | {"bf16": True}),
    train("training step, word model", 1.3, **WORD),
    train("training step, small model", 1.5, **SMALL),
    {"name": "generate, per token", "bar": 5.0, "kind": "generate", **WRITING},
    train("peak memory, character model (MiB)", 2.0, **CHARACTER) | {"kind": "memory"},
]


def operations(row):
    """Floating-point operations of the matrix products in an iteration (per token in `generate`).

    A backward pass has two products for each of the forward pass: for the gradient of the input and
    for that of the weight.
    """
    if row["kind"] not in ["layer", "recurrent", "train", "generate"]:
        return None
    if row["kind"] == "recurrent":
        return 2 * 2 * row["batch"] * row["time"] * 4 * row["hidden"] ** 2
    if row["kind"] == "layer":
        gates = {"tanh": 1, "gru": 3, "lstm": 4}[row["cell"]]
        steps = sum(row["lengths"]) if row["lengths"] else row["batch"] * row["time"]
        directions = 2 if row["bidirectional"] else 1
        return 3 * 2 * steps * directions * gates * row["hidden"] * 2 * row["hidden"]
    inputs = row["embedding"] + (row["layers"] - 1) * row["hidden"]
    recurrent = 4 * row["hidden"] * (inputs + row["layers"] * row["hidden"])
    products = 2 * (recurrent + row["hidden"] * row["vocab"])
    return products if row["kind"] == "generate" else 3 * row["batch"] * row["time"] * products


# The peers -----------------------------------------------------------------------------------------


class Failure(Exception):
    """What was wrong, for the user to read."""


class Worker:
    """A process that measures one library."""

    def __init__(self, title, command, threads, variables):
        environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
        for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]:
            environment[name] = str(threads)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.title = title
        self.process = subprocess.Popen(command, env=environment | variables, **pipes)

    def ask(self, do, **request):
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # The answer is missing too.
        answer = self.process.stdout.readline()
        if not answer:
            raise Failure(f"{self.title}'s worker ended with exit code {self.process.wait()}")
        answer = json.loads(answer)
        if "error" in answer:
            raise Failure(f"{self.title}: {answer['error']}")
        return answer

    def measure(self):
        time.sleep(REST)
        return self.ask("measure", seconds=SECONDS)["milliseconds"]

    def end(self):
        self.process.kill()
        self.process.wait()


class Peer:
    """A library at a number of threads."""

    def __init__(self, name, command, threads):
        self.title, self.command, self.threads = TITLES[name], command, threads
        # Threads that spin at OpenMP's barriers are the fastest on a machine that does nothing else,
        # and many times slower on one that does. PyTorch has both, and the faster one counts.
        spinning = name == "pytorch" and threads > 1
        self.variants = [{}, {"OMP_WAIT_POLICY": "PASSIVE"}] if spinning else [{}]
        self.workers = [None for _ in self.variants]
        self.chosen = None

    def worker(self, number):
        worker = self.workers[number]
        if worker is None or worker.process.poll() is not None:
            worker = Worker(self.title, self.command, self.threads, self.variants[number])
            self.workers[number] = worker
        return worker

    def prepare(self, row):
        """Makes a row ready; the answer has `check`, or `unsupported` with the reason."""
        answers = [self.worker(number).ask("prepare", row=row) for number in range(len(self.variants))]
        if "check" in answers[0] and len(self.workers) > 1:
            self.chosen = min(self.workers, key=lambda worker: statistics.median(worker.measure()))
        else:
            self.chosen = self.workers[0]
        variant = self.variants[self.workers.index(self.chosen)]
        return answers[0] | ({"environment": variant} if variant else {})

    def memory(self, row):
        """Peak memory of a process that does nothing but this row."""
        worker = Worker(self.title, self.command, self.threads, {})
        try:
            return worker.ask("memory", row=row | {"kind": "train"}, iterations=STEPS)
        finally:
            worker.end()

    def end(self):
        for worker in self.workers:
            if worker is not None:
                worker.end()


def build(name):
    """Builds a Rust worker and returns its path."""
    command = ["cargo", "build", "--release", "--package", f"bench-{name}"]
    command += ["--manifest-path", str(FOLDER / "Cargo.toml")]
    command += ["--message-format", "json-render-diagnostics"]
    say(f"building {name}")
    try:
        # One package at a time, so that none gets features that only another one asked for.
        built = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Failure("cargo is not on the path; see the README's first lines") from None
    if built.returncode != 0:
        raise Failure(f"the worker for {name} could not be built: see cargo's messages above")
    artifacts = (json.loads(line) for line in built.stdout.splitlines())
    return [artifact["executable"] for artifact in artifacts if artifact.get("executable")][-1]


def find_version(interpreter, module="torch"):
    """The version of one of PyTorch's modules."""
    try:
        probe = [interpreter, "-c", f"import {module}; print({module}.__version__)"]
        found = subprocess.run(probe, capture_output=True, text=True)
    except OSError as error:
        raise Failure(f"cannot run {interpreter}: {error.strerror}") from None
    if found.returncode != 0:
        raise Failure(f"{interpreter} has no {module}: see benchmarks/README.md, or use --python")
    return found.stdout.strip()


def find_peers(arguments, worker="ours", script="pytorch.py", modules=("torch",)):
    """The commands of the peers that are there, and the versions of all that takes part.

    `worker` measures this repository, and `script`, which needs `modules`, PyTorch.
    """
    locked = tomllib.loads((FOLDER / "Cargo.lock").read_text())["package"]
    names = ["candle-rnn", "candle-core", "candle-nn", "burn", "burn-flex"]
    versions = {package["name"]: package["version"] for package in locked if package["name"] in names}
    versions["python"] = platform.python_version()
    commands = {}
    for name in arguments.peers:
        try:
            if name == "pytorch":
                versions |= {module: find_version(arguments.python, module) for module in modules}
                commands[name] = [arguments.python, str(FOLDER / script)]
            else:
                commands[name] = [build(worker if name == "ours" else name)]
        except Failure as failure:
            if name == "ours":
                raise
            say(f"left out: {TITLES[name]}: {failure}")
    if not commands:
        raise Failure("there is nobody to measure")
    return commands, versions


# Measuring -----------------------------------------------------------------------------------------


def say(message):
    print(message, file=sys.stderr, flush=True)


def measure_row(row, peers, rounds, progress):
    """Every peer's answer to a row: `rounds` (each a list of ms), or why there are none."""
    results, ready = {}, []
    for name, peer in peers.items():
        progress(f"preparing {peer.title}")
        try:
            results[name] = peer.prepare(row)
        except Failure as failure:
            results[name] = {"failed": str(failure)}
        if "check" in results[name]:
            results[name]["rounds"] = []
            ready.append(name)
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        # Each round begins with another peer.
        start = number % max(len(ready), 1)
        for name in ready[start:] + ready[:start]:
            samples = results[name]["rounds"]
            if number >= SLOW_ROUNDS and median(samples) > SLOW:
                continue
            try:
                samples.append(peers[name].chosen.measure())
            except Failure as failure:
                results[name] = {"failed": str(failure)}
                ready.remove(name)
    for name in ready:
        results[name]["median"] = median(results[name]["rounds"])
    return results


def measure_memory(row, peers, progress):
    results = {}
    for name, peer in peers.items():
        progress(f"{STEPS} steps of {peer.title}")
        try:
            answer = peer.memory(row)
            if answer.get("peak"):
                answer["median"] = answer["peak"] / 2**20
            elif "unsupported" not in answer:
                answer = {"unsupported": "this system does not tell the peak memory of a process"}
            results[name] = answer
        except Failure as failure:
            results[name] = {"failed": str(failure)}
    return results


def median(rounds):
    return statistics.median(statistics.median(samples) for samples in rounds)


def ratios(results):
    """PyTorch's time ÷ ours in each of the rounds, which both have measured in turn."""
    ours, theirs = results.get("ours", {}), results.get("pytorch", {})
    if "median" not in ours or "median" not in theirs:
        return []
    if "rounds" not in ours:
        return [theirs["median"] / ours["median"]]
    rounds = zip(ours["rounds"], theirs["rounds"])
    return [statistics.median(b) / statistics.median(a) for a, b in rounds]


def disagreements(results):
    """Which checks of which peers differ from the first one's."""
    checks = {name: result["check"] for name, result in results.items() if "check" in result}
    if not checks:
        return []
    first, *others = checks
    found = []
    for name in others:
        for what, value in checks[name].items():
            expected = checks[first].get(what, value)
            if not abs(value - expected) <= TOLERANCE * abs(expected):
                found.append(f"{what} is {value:.6g} with {TITLES[name]}, {expected:.6g} with {TITLES[first]}")
    return found


def checks(results):
    """What each peer has checked, and whether they agree; a line each."""
    for name, result in results.items():
        if "check" in result:
            values = ", ".join(f"{what} {value:.7g}" for what, value in result["check"].items())
            yield f"- checked by {TITLES[name]}: {values}"
    for problem in disagreements(results):
        yield f"- **the peers do not compute the same**: {problem}"


def measure_all(rows, commands, arguments):
    """One result for each number of threads and row."""
    results, start = [], time.monotonic()
    total = len(rows) * len(arguments.threads)
    for threads in arguments.threads:
        peers = {name: Peer(name, command, threads) for name, command in commands.items()}
        peak = None
        try:
            for row in rows:
                label = f"[{len(results) + 1}/{total}] {row['name']}, {threads_in_words(threads)}"

                def progress(what):
                    elapsed = time.monotonic() - start
                    left = elapsed / len(results) * (total - len(results)) if results else None
                    about = f", about {left / 60:.0f} min left" if left else ""
                    say(f"{label}: {what}{about}")

                if "ours" in peers and operations(row):
                    # Between the rows, since the clock and the neighbours change: the best counts.
                    found = peers["ours"].worker(0).ask("peak")["all_threads"]
                    peak = max(peak or 0, found)
                if row["kind"] == "memory":
                    measured = measure_memory(row, peers, progress)
                else:
                    measured = measure_row(row, peers, arguments.rounds, progress)
                for problem in disagreements(measured):
                    say(f"{label}: the peers do not compute the same: {problem}")
                results.append({"row": row, "threads": threads, "peers": measured})
        finally:
            for peer in peers.values():
                peer.end()
        judge([result for result in results if result["threads"] == threads], peak, arguments)
    return results


def judge(results, peak, arguments):
    """Adds ratio, bar and share of the peak (GFLOP/s) to the results of a number of threads."""
    for result in results:
        row, ours = result["row"], result["peers"].get("ours", {})
        result["operations"] = operations(row)
        result["peak"] = peak
        result["ratios"] = ratios(result["peers"])
        result["ratio"] = statistics.median(result["ratios"]) if result["ratios"] else None
        result["bar"] = row["bar"] if result["threads"] == max(arguments.threads) else None
        if result["ratio"] is not None and result["bar"] is not None:
            result["holds"] = result["ratio"] >= result["bar"]
        if peak and "median" in ours and result["operations"]:
            result["share"] = result["operations"] / (ours["median"] * 1e6) / peak


# Reporting -----------------------------------------------------------------------------------------


def machine():
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        model = found.group(1) if found else model
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.system(), "load": os.getloadavg()[0]}


def commit():
    def git(*arguments):
        try:
            command = ["git", "-C", str(FOLDER), *arguments]
            return subprocess.run(command, capture_output=True, text=True).stdout.strip()
        except FileNotFoundError:
            return ""

    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")


def number(value, form):
    return "–" if value is None else format(value, form)


def threads_in_words(threads):
    return "1 thread" if threads == 1 else f"{threads} threads"


def ratio_with_range(result):
    found = result["ratios"]
    spread = f" ({min(found):.2f} to {max(found):.2f})" if len(found) > 1 else ""
    return number(result["ratio"], ".2f") + spread


def milliseconds(result):
    value = result.get("median") if result else None
    if value is None:
        return "failed" if result and "failed" in result else "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(results, names):
    shares = any("share" in result for result in results)
    lines = [["row", *(TITLES[name] for name in names), "PyTorch ÷ ours", "bar", "holds"]]
    if shares:
        lines[0].append("share of peak")
    lines.append(["---"] + ["---:"] * (len(lines[0]) - 1))
    for result in results:
        holds = {None: "–", True: "yes", False: "no"}[result.get("holds")]
        cells = [milliseconds(result["peers"].get(name)) for name in names]
        cells += [ratio_with_range(result), number(result["bar"], ".1f"), holds]
        if shares:
            cells.append(number(result.get("share"), ".0%"))
        lines.append([result["row"]["name"], *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        padded = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        yield "| " + " | ".join(padded) + " |"


def notes(results):
    """Why cells are empty, and what does not agree: each reason once."""
    found = {}
    for result in results:
        for name, answer in result["peers"].items():
            for kind, word in [("unsupported", "–"), ("failed", "failed")]:
                if kind in answer:
                    found.setdefault(f"{TITLES[name]} {word}: {answer[kind]}", []).append(result["row"]["name"])
        before = {name: answer["before"] / 2**20 for name, answer in result["peers"].items() if answer.get("before")}
        if before:
            sizes = ", ".join(f"{TITLES[name]} {size:.0f}" for name, size in before.items())
            found.setdefault(f"MiB before the model was made: {sizes}", []).append(result["row"]["name"])
        for problem in disagreements(result["peers"]):
            found.setdefault(f"the peers do not compute the same: {problem}", []).append(result["row"]["name"])
    return [f"- {reason} ({'; '.join(names)})" for reason, names in found.items()]


def report(run, names):
    about = run["machine"]
    lines = [
        f"{run['date']}, {about['cpu']}, {about['cores']} cores, load {about['load']:.1f} before the start; "
        f"commit {run['commit']}; " + ", ".join(f"{name} {version}" for name, version in run["versions"].items()),
    ]
    for threads in run["threads"]:
        results = [result for result in run["results"] if result["threads"] == threads]
        peak = results[0]["peak"]
        measured = f"; fused multiply-add peak {peak:.0f} GFLOP/s" if peak else ""
        title = f"**{threads_in_words(threads)}**, ms, median over the rounds ({run['rounds']}){measured}"
        lines += ["", title, ""]
        lines += table(results, names)
        lines += ["", *notes(results)]
    return "\n".join(lines).rstrip() + "\n"


# The command ---------------------------------------------------------------------------------------


def list_of(kind, allowed=None):
    def parse(text):
        values = [kind(part) for part in text.split(",")]
        for value in values:
            if allowed and value not in allowed:
                raise argparse.ArgumentTypeError(f"{value!r} is none of {', '.join(map(str, allowed))}")
        return list(dict.fromkeys(values))

    return parse


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def pattern(text):
    try:
        return re.compile(text.replace("×", "x"), re.IGNORECASE)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"not a regular expression: {error}") from None


def parse_arguments(about=__doc__, rows=ROWS, peers=PEERS, threads=(1, 2), add=lambda parser: None):
    """The options of all comparisons, and those that `add` adds."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    cores = range(1, (os.cpu_count() or 1) + 1)
    threads = [count for count in threads if count in cores] or [1]
    parser.add_argument("--rounds", type=positive, default=7, help="measurements of each row and peer (%(default)s)")
    parser.add_argument(
        "--threads",
        type=list_of(int, cores),
        default=threads,
        metavar="N,…",
        help=f"numbers of threads, the largest of which is judged ({','.join(map(str, threads))})",
    )
    parser.add_argument("--rows", type=pattern, default="", metavar="PATTERN", help="only rows whose name matches")
    parser.add_argument(
        "--peers", type=list_of(str, peers), default=peers, metavar="NAME,…", help=f"among {', '.join(peers)} (all)"
    )
    parser.add_argument("--python", default=sys.executable, metavar="INTERPRETER", help="a Python with torch")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every sample here")
    parser.add_argument("--markdown", type=pathlib.Path, metavar="FILE", help="write the table here too")
    add(parser)
    arguments = parser.parse_args()
    arguments.rows = [row for row in rows if re.search(arguments.rows, row["name"].replace("×", "x"))]
    if not arguments.rows:
        parser.error("no row matches; the rows are:\n  " + "\n  ".join(row["name"] for row in rows))
    for file in [arguments.json, arguments.markdown]:
        if file and not file.absolute().parent.is_dir():
            parser.error(f"{file.parent} is not a folder")
    return arguments


def run_all(arguments, commands, versions):
    """Measures all rows, prints the table and writes the files that are asked for; gives the results."""
    run = {"date": datetime.date.today().isoformat(), "machine": machine(), "commit": commit()}
    run |= {"versions": versions, "threads": arguments.threads, "rounds": arguments.rounds}
    run["results"] = measure_all(arguments.rows, commands, arguments)
    text = report(run, list(commands))
    print(text, end="")
    if arguments.markdown:
        arguments.markdown.write_text(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")
    return run["results"]


def main():
    arguments = parse_arguments()
    run_all(arguments, *find_peers(arguments))


def enter(main):
    """Runs a script, whose failures are its user's to read."""
    try:
        main()
    except Failure as failure:
        sys.exit(f"error: {failure}")
    except OSError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    enter(main)
