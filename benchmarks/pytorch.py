"""The worker that measures PyTorch: the protocol and the numbers of the crate `worker`."""

import json
import os
import statistics
import sys
import time
import warnings

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

WINDOWS = 8
WARM_UP_SECONDS = 0.3


def hash_indices(name, count):
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    # The products wrap at 64 bits, which leaves the lower 32 as they should be.
    value = torch.arange(count) ^ seed
    value = (value ^ (value >> 16)) * 0x7FEB352D & 0xFFFFFFFF
    value = (value ^ (value >> 15)) * 0x846CA68B & 0xFFFFFFFF
    return value ^ (value >> 16)


def fill(name, shape, scale):
    count = torch.Size(shape).numel()
    return (((hash_indices(name, count) >> 8).double() / (1 << 23) - 1) * scale).float().reshape(shape)


def set_weights(module, hidden):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            scale = 1.0 if name.startswith("embedding") else hidden**-0.5
            parameter.copy_(fill(name, parameter.shape, scale))


def root_mean_square(tensor):
    return tensor.detach().double().square().mean().sqrt().item()


class Layer(nn.Module):
    """Forward and backward pass of one layer."""

    def __init__(self, row):
        super().__init__()
        batch, step_count, hidden = row["batch"], row["time"], row["hidden"]
        layer = {"tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[row["cell"]]
        self.rnn = layer(hidden, hidden, batch_first=True, bidirectional=row["bidirectional"])
        set_weights(self, hidden)
        self.inputs = fill("inputs", (batch, step_count, hidden), 1.0).requires_grad_()
        self.lengths = None if row["lengths"] is None else torch.tensor(row["lengths"])
        self.step_count = step_count

    def forward(self):
        if self.lengths is None:
            return self.rnn(self.inputs)[0]
        packed = pack_padded_sequence(self.inputs, self.lengths, batch_first=True, enforce_sorted=False)
        outputs = self.rnn(packed)[0]
        return pad_packed_sequence(outputs, batch_first=True, total_length=self.step_count)[0]

    def iterate(self):
        self.zero_grad(set_to_none=True)
        self.inputs.grad = None
        outputs = self()
        outputs.sum().backward()
        return outputs

    def check(self):
        outputs = self.iterate()
        return {
            "outputs": root_mean_square(outputs),
            "input gradient": root_mean_square(self.inputs.grad),
            "recurrent weight's gradient": root_mean_square(self.rnn.weight_hh_l0.grad),
        }


class Network(nn.Module):
    def __init__(self, row, dropout):
        super().__init__()
        layers, hidden = row["layers"], row["hidden"]
        self.embedding = nn.Embedding(row["vocab"], row["embedding"])
        between = dropout if layers > 1 else 0.0
        self.rnn = nn.LSTM(row["embedding"], hidden, layers, batch_first=True, dropout=between)
        self.output = nn.Linear(hidden, row["vocab"])
        self.dropout = nn.Dropout(dropout)
        set_weights(self, hidden)

    def forward(self, symbols, state):
        hidden, state = self.rnn(self.dropout(self.embedding(symbols)), state)
        return self.output(self.dropout(hidden)), state


class Train:
    """One training step after another."""

    def __init__(self, row):
        self.row = row
        self.network = Network(row, row["dropout"])
        # Of the three implementations of Adam the fused one is the fastest on a CPU: 2.3 ms for the
        # layers of the character model, against 12 (foreach) and 15; for SGD all are alike.
        optimizer = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[row["optimizer"]]
        self.optimizer = optimizer(self.network.parameters(), lr=row["rate"], fused=True)
        batch, step_count = row["batch"], row["time"]
        stream = hash_indices("stream", batch * step_count * WINDOWS + 1) % row["vocab"]
        cut = lambda stream: stream.reshape(batch, WINDOWS, step_count).unbind(1)
        self.windows = [(x.contiguous(), y.contiguous()) for x, y in zip(cut(stream[:-1]), cut(stream[1:]))]
        self.next = 0
        self.state = None

    def loss(self, window, state):
        inputs, targets = self.windows[window % WINDOWS]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.row["bf16"]):
            scores, state = self.network(inputs, state)
            return functional.cross_entropy(scores.flatten(0, 1), targets.flatten()), state

    def iterate(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss, state = self.loss(self.next, self.state)
        self.next += 1
        self.state = tuple(part.detach() for part in state)
        loss.backward()
        clip_grad_norm_(self.network.parameters(), self.row["clip"])
        self.optimizer.step()
        loss.item()  # Every training shows it; ours looks at it too.

    def check(self):
        check = {"loss": self.first_loss()}
        if self.row["dropout"] == 0:
            self.iterate()
            check["loss after a step"] = self.first_loss()
        return check

    @torch.no_grad()
    def first_loss(self):
        self.network.eval()
        loss = self.loss(0, None)[0].item()
        self.network.train()
        return loss


class Generate:
    """Writing, one symbol after another."""

    def __init__(self, row):
        self.row = row
        self.network = Network(row, 0.0).eval()

    @torch.inference_mode()
    def iterate(self):
        state, symbol, written = None, torch.zeros(1, 1, dtype=torch.long), []
        for _ in range(self.row["tokens"]):
            scores, state = self.network(symbol, state)
            symbol = torch.multinomial(functional.softmax(scores[0] / self.row["temperature"], -1), 1)
            written.append(symbol)
        return torch.cat(written).tolist()

    @torch.inference_mode()
    def check(self):
        return {"scores": root_mean_square(self.network(torch.zeros(1, 1, dtype=torch.long), None)[0])}


def use_onednn(enabled):
    with warnings.catch_warnings(action="ignore"):  # About GPUs, which have no part in this.
        torch.backends.mkldnn.set_flags(enabled)


def repeat(workload, seconds):
    """The times of iterations that together take about so long; at least one."""
    times, start = [], time.perf_counter()
    while not times or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        workload.iterate()
        times.append(time.perf_counter() - before)
    return times


def peak_memory():
    """Peak resident size of this process in bytes."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024


class Worker:
    workloads = {"layer": Layer, "train": Train, "generate": Generate}

    def __init__(self):
        self.current = None

    def workload(self, row):
        return self.workloads[row["kind"]](row)

    def prepare(self, request):
        self.current = None
        if request["row"]["kind"] == "recurrent":
            return {"unsupported": "gives no access to these products alone"}
        use_onednn(True)
        current = self.workload(request["row"])
        check = current.check()
        # oneDNN's LSTM is the faster one for whole batches, PyTorch's own for single steps (by a
        # factor of 3) and for packed sequences. Each row gets what is faster for it.
        times = {}
        for onednn in [True, False]:
            use_onednn(onednn)
            repeat(current, WARM_UP_SECONDS)
            times[onednn] = statistics.median(repeat(current, WARM_UP_SECONDS))
        use_onednn(times[True] <= times[False])
        repeat(current, WARM_UP_SECONDS)
        self.current, self.per_iteration = current, request["row"].get("tokens", 1)
        return {"check": check, "oneDNN": times[True] <= times[False]}

    def measure(self, request):
        times = repeat(self.current, request["seconds"])
        return {"milliseconds": [seconds * 1e3 / self.per_iteration for seconds in times]}

    def memory(self, request):
        before = peak_memory()
        current = self.workload(request["row"])
        for _ in range(request["iterations"]):
            current.iterate()
        return {"before": before, "peak": peak_memory()}


def serve(worker):
    """Answers requests until the standard input ends."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(worker, request["do"])(request)
        except Exception as error:  # The process stays for the next row.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    serve(Worker())
