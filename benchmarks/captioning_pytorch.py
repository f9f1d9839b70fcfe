"""The worker that measures captioning with PyTorch: the networks of `captioning`, written plainly."""

import json
import math
import pathlib
import sys

import safetensors.torch
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

import pytorch

# Repeats, kernel, stride of the first, factor by which it is widened, outputs.
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's `same` padding."""

    def forward(self, x):
        kernel, stride = self.kernel_size[0], self.stride[0]
        padding = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, padding), self.weight, self.bias, self.stride, 0, 1, self.groups)


class Block(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride, factor):
        super().__init__()
        wide = inputs * factor
        norm = lambda channels: nn.BatchNorm2d(channels, eps=1e-3)
        if factor > 1:
            self._expand_conv, self._bn0 = SameConv(inputs, wide, 1, bias=False), norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = norm(wide)
        self._project_conv, self._bn2 = SameConv(wide, outputs, 1, bias=False), norm(outputs)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.is_residual else y


class EfficientNetLite0(nn.Module):
    def __init__(self):
        super().__init__()
        norm = lambda channels: nn.BatchNorm2d(channels, eps=1e-3)
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), norm(32)
        blocks, inputs = [], 32
        for repeats, kernel, stride, factor, outputs in STAGES:
            for number in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if number == 0 else 1, factor))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(320, 1280, 1, bias=False), norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        """Pictures [batch, 3, size, size] to regions [batch, 320, grid, grid] and globals [batch, 1280]."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return x, F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))

    def logits(self, x):
        return self._fc(self(x)[1])



# Features of the whole, and regions along a side.
TOTAL, GRID = 1280, 7


def positions(grid, size):
    """Sines and cosines of column and row, as in apps/captioning/src/network.rs."""
    waves = size // 4
    longer = grid ** (torch.arange(waves) / waves)
    angles = math.pi * torch.arange(grid)[:, None] / longer
    waves = 0.5 * torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
    columns, rows = waves.repeat(grid, 1), waves.repeat_interleave(grid, 0)
    return torch.cat([columns, rows], 1)


class Captioner(nn.Module):
    """The decoder of apps/captioning/src/network.rs with attention and a gate."""

    def __init__(self, vocab, network, region):
        super().__init__()
        size = network["region_size"]
        sizes = {network[name] for name in ["embedding_size", "hidden_size", "attention_size"]}
        if sizes != {size} or (network["decoder"], network["cell"]) != ("attend", "gru") or not network["gate"]:
            raise ValueError("the peer attends with a gate, has a GRU, and all its sizes are equal")
        if network.get("surroundings"):
            raise ValueError("the peer does not look around")
        self.region, self.norm = nn.Linear(region, size, bias=False), nn.BatchNorm1d(size)
        self.register_buffer("positions", positions(GRID, size))
        self.start = nn.Linear(TOTAL + size, size)
        self.embedding = nn.Embedding(vocab, size)
        self.rnn = nn.GRU(size, size, batch_first=True)
        self.key, self.query = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        self.v = nn.Linear(size, 1, bias=False)
        self.gate, self.combine = nn.Linear(size, size), nn.Linear(2 * size, size)
        self.bias = nn.Parameter(torch.zeros(vocab))
        self.dropout = nn.Dropout(network["dropout"])

    @classmethod
    def load(cls, row):
        """With the weights that the worker of this repository wrote."""
        kept = safetensors.torch.load_file(row["weights"])
        network = cls(row["vocab"], row["network"], kept["region.weight"].shape[1])
        renamed = {"output.bias": "bias", "decoder.attention.v": "v.weight"}
        weights = {}
        for name, tensor in kept.items():
            if name.startswith("encoder."):
                continue
            own = renamed.get(name, name).replace("region.norm.", "norm.")
            own = own.replace("decoder.attention.", "").replace("decoder.gate.", "gate.")
            own = own.replace("decoder.combine.", "combine.").replace("decoder.", "rnn.")
            weights[own] = tensor.view(1, -1) if own == "v.weight" else tensor
        missing, unknown = network.load_state_dict(weights, strict=False)
        if unknown or set(missing) - {"positions", "norm.num_batches_tracked"}:
            raise ValueError(f"missing {missing}, unknown {unknown}")
        return network

    def look(self, regions, total):
        regions = F.relu(self.norm(self.region(regions).flatten(0, 1))).unflatten(0, regions.shape[:2])
        regions = self.dropout(regions + self.positions)
        state = torch.tanh(self.start(torch.cat([total, regions.mean(1)], 1)))
        return regions, self.key(regions), state

    def decode(self, regions, keys, states):
        scores = self.v(torch.tanh(self.query(states)[:, :, None] + keys[:, None]))[..., 0]
        context = scores.softmax(-1) @ regions
        context = torch.sigmoid(self.gate(states)) * context
        return torch.tanh(self.combine(torch.cat([states, context], 2)))

    def scores(self, vectors):
        return vectors @ self.embedding.weight.T + self.bias

    def forward(self, regions, total, inputs):
        """Regions [batch, places, region], globals, symbols [batch, time] to logits [batch, time, vocab]."""
        regions, keys, state = self.look(regions, total)
        states, _ = self.rnn(self.dropout(self.embedding(inputs)), state[None])
        return self.scores(self.dropout(self.decode(regions, keys, states)))

    @torch.inference_mode()
    def beam(self, regions, total, end, beam, longest):
        """Captions of a batch by beam search, all pictures at once: symbols and ln p of each."""
        batch, vocab = len(regions), len(self.bias)
        regions, keys, state = self.look(regions, total)
        regions, keys = (x.repeat_interleave(beam, 0) for x in (regions, keys))
        state = state.repeat_interleave(beam, 0)[None]
        scores = torch.full((batch, beam), -torch.inf)
        scores[:, 0] = 0
        ended = torch.zeros(batch, beam, dtype=torch.bool)
        symbols = torch.full((batch, beam, longest + 1), end)
        last = torch.full((batch * beam,), end)
        # What has ended goes on with the end, at no cost.
        stays = torch.full((vocab,), -torch.inf)
        stays[end] = 0
        for step in range(longest + 1):
            states, state = self.rnn(self.embedding(last)[:, None], state)
            vectors = self.decode(regions, keys, states)[:, 0]
            log_probs = self.scores(vectors).log_softmax(-1).view(batch, beam, vocab)
            log_probs = torch.where(ended[..., None], stays, log_probs)
            scores, best = (scores[..., None] + log_probs).view(batch, -1).topk(beam, -1)
            origin, symbol = best // vocab, best % vocab
            symbols = symbols.gather(1, origin[..., None].expand_as(symbols))
            symbols[:, :, step] = symbol
            ended = ended.gather(1, origin) | (symbol == end)
            rows = (origin + beam * torch.arange(batch)[:, None]).view(-1)
            state, last = state[:, rows], symbol.view(-1)
            # The others can only become less likely than the best, once that has ended.
            if ended[:, 0].all():
                break
        found = [row[: row.index(end)] if end in row else row for row in symbols[:, 0].tolist()]
        return list(zip(found, scores[:, 0].tolist()))


def noise(pictures, region):
    """So many pictures of noise, as they would be seen."""
    return pytorch.fill("regions", (pictures, GRID * GRID, region), 1.0), pytorch.fill("global", (pictures, TOTAL), 1.0)


class Looking:
    """EfficientNet-Lite0 over a batch of pictures."""

    def __init__(self, row):
        self.network = EfficientNetLite0()
        self.network.load_state_dict(safetensors.torch.load_file(row["weights"]), strict=False)
        self.network.eval()
        shape = (row["batch"], row["size"], row["size"], 3)
        # As a picture lies in memory; PyTorch is the faster with it.
        self.pictures = pytorch.fill("pictures", shape, 1.0).permute(0, 3, 1, 2)
        self.network = self.network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def iterate(self):
        return self.network(self.pictures)

    def check(self):
        regions, total = self.iterate()
        return {"regions": pytorch.root_mean_square(regions), "global": pytorch.root_mean_square(total)}


class Training:
    """One step after another over the same batch."""

    def __init__(self, row):
        self.row = row
        self.network = Captioner.load(row)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=row["rate"], fused=True)
        lengths = row["lengths"]
        symbols = (pytorch.hash_indices("captions", sum(lengths)) % row["vocab"]).split(lengths)
        pad = lambda rows, value: nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
        self.targets = pad(symbols, -100)
        begin = torch.tensor([row["end"]])
        self.inputs = pad([torch.cat([begin, caption[:-1]]) for caption in symbols], row["end"])
        self.seen = noise(len(lengths), self.network.region.in_features)

    def loss(self):
        scores = self.network(*self.seen, self.inputs)
        return F.cross_entropy(
            scores.flatten(0, 1), self.targets.flatten(), label_smoothing=self.row["label_smoothing"]
        )

    def iterate(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        clip_grad_norm_(self.network.parameters(), self.row["clip"])
        self.optimizer.step()
        loss.item()  # Every training shows it; ours looks at it too.

    def check(self):
        self.network.dropout.p, dropout = 0.0, self.network.dropout.p
        loss = self.loss()
        loss.backward()
        norm = clip_grad_norm_(self.network.parameters(), math.inf).item()
        self.network.dropout.p = dropout
        return {"loss": loss.item(), "gradient's norm": norm, "words": sum(self.row["lengths"])}


class Captions:
    """Captions of all pictures, some at a time."""

    def __init__(self, row):
        self.row = row
        self.network = Captioner.load(row).eval()
        if row.get("features"):
            kept = safetensors.torch.load_file(row["features"])
            self.seen = [kept[name][: row["pictures"]].float() for name in ["regions", "global"]]
        else:
            self.seen = noise(row["pictures"], self.network.region.in_features)

    def iterate(self):
        captions = []
        for regions, total in zip(*(part.split(self.row["batch"]) for part in self.seen)):
            captions += self.network.beam(regions, total, self.row["end"], self.row["beam"], self.row["longest"])
        return captions

    def check(self):
        captions = self.iterate()
        pathlib.Path(self.row["write"]).with_suffix(".pytorch").write_text(json.dumps(captions))
        return {"pictures": len(captions)}


class Worker(pytorch.Worker):
    workloads = {"looking": Looking, "training": Training, "captions": Captions}


if __name__ == "__main__":
    if sys.argv[1:2] == ["weights"]:
        # Of an encoder that has seen nothing, where there is none that has.
        safetensors.torch.save_file(EfficientNetLite0().state_dict(), sys.argv[2])
    else:
        pytorch.serve(Worker())
