"""The networks of `captioning`, written plainly in PyTorch: the peer of benchmarks/captioning.py."""

import torch
import torch.nn as nn
import torch.nn.functional as F

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


class Captioner(nn.Module):
    """The decoder of apps/captioning/src/network.rs with attention and a gate."""

    def __init__(self, vocab, places, region, total, size):
        super().__init__()
        self.region, self.norm = nn.Linear(region, size), nn.LayerNorm(size)
        self.position = nn.Parameter(0.1 * torch.randn(places, size))
        self.start = nn.Linear(total + size, size)
        self.embedding = nn.Embedding(vocab, size)
        nn.init.normal_(self.embedding.weight, std=size**-0.5)
        self.rnn = nn.GRU(size, size, batch_first=True)
        self.key, self.query = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        self.v = nn.Linear(size, 1, bias=False)
        self.gate, self.combine = nn.Linear(size, size), nn.Linear(2 * size, size)
        self.bias = nn.Parameter(torch.zeros(vocab))
        self.dropout = nn.Dropout(0.3)

    def look(self, regions, total):
        regions = self.dropout(F.relu(self.norm(self.region(regions))) + self.position)
        state = torch.tanh(self.start(torch.cat([total, regions.mean(1)], 1)))
        return regions, self.key(regions), state

    def decode(self, regions, keys, states):
        scores = self.v(torch.tanh(self.query(states)[:, :, None] + keys[:, None]))[..., 0]
        context = scores.softmax(-1) @ regions
        context = torch.sigmoid(self.gate(states)) * context
        return torch.tanh(self.combine(torch.cat([states, context], 2)))

    def forward(self, regions, total, inputs):
        """Regions [batch, places, region], globals, symbols [batch, time] to logits [batch, time, vocab]."""
        regions, keys, state = self.look(regions, total)
        states, _ = self.rnn(self.dropout(self.embedding(inputs)), state[None])
        vectors = self.dropout(self.decode(regions, keys, states))
        return vectors @ self.embedding.weight.T + self.bias

    @torch.no_grad()
    def beam(self, regions, total, end, beam, longest):
        """Captions of a batch by beam search, all pictures at once: symbols [batch, longest] and ln p."""
        batch, vocab = len(regions), len(self.bias)
        regions, keys, state = self.look(regions, total)
        regions, keys = (x.repeat_interleave(beam, 0) for x in (regions, keys))
        state = state.repeat_interleave(beam, 0)[None]
        scores = torch.full((batch, beam), -torch.inf)
        scores[:, 0] = 0
        ended = torch.zeros(batch, beam, dtype=torch.bool)
        symbols = torch.full((batch, beam, longest), end)
        last = torch.full((batch * beam,), end)
        for step in range(longest):
            states, state = self.rnn(self.embedding(last)[:, None], state)
            vectors = self.decode(regions, keys, states)[:, 0]
            log_probs = (vectors @ self.embedding.weight.T + self.bias).log_softmax(-1).view(batch, beam, vocab)
            # What has ended goes on with the end, at no cost.
            stays = torch.full((vocab,), -torch.inf)
            stays[end] = 0
            log_probs = torch.where(ended[..., None], stays, log_probs)
            scores, best = (scores[..., None] + log_probs).view(batch, -1).topk(beam, -1)
            origin, symbol = best // vocab, best % vocab
            symbols = symbols.gather(1, origin[..., None].expand_as(symbols))
            symbols[:, :, step] = symbol
            ended = ended.gather(1, origin) | (symbol == end)
            rows = (origin + beam * torch.arange(batch)[:, None]).view(-1)
            state, last = state[:, rows], symbol.view(-1)
            if ended.all():
                break
        return symbols[:, 0], scores[:, 0]
