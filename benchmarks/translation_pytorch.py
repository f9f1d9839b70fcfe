"""The worker that measures translation with PyTorch: the network of the crate `translation`."""

import itertools
import json
import math
import pathlib
import statistics
import struct

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import pytorch

IGNORED = -100
# Sentences side by side in a search, of which the fastest number is taken.
BATCHES = [50, 100, 200]


def read_safetensors(path):
    content = bytearray(pathlib.Path(path).read_bytes())
    (header,) = struct.unpack_from("<Q", content)
    types = {"F32": torch.float32, "I64": torch.int64}
    tensors = {}
    for name, about in json.loads(content[8 : 8 + header]).items():
        if name != "__metadata__":
            first, last = (8 + header + offset for offset in about["data_offsets"])
            # A copy, for numbers within a file need not lie where the processor likes them.
            values = torch.frombuffer(content[first:last], dtype=types[about["dtype"]])
            tensors[name] = values.reshape(about["shape"])
    return tensors


class Attention(nn.Module):
    """Additive: v · tanh(W_q q + W_k k + b)."""

    def __init__(self, query, memory, size):
        super().__init__()
        self.query = nn.Linear(query, size, bias=False)
        self.key = nn.Linear(memory, size)
        self.v = nn.Linear(size, 1, bias=False)

    def forward(self, queries, keys, values, padding):
        """Attends with `queries [batch, n, …]` to `keys` and `values [batch, time, …]`."""
        scores = self.v(torch.tanh(self.query(queries).unsqueeze(2) + keys.unsqueeze(1))).squeeze(3)
        weights = torch.softmax(scores.masked_fill(padding.unsqueeze(1), -torch.inf), 2)
        return torch.bmm(weights, values)


class Network(nn.Module):
    def __init__(self, config, vocab):
        super().__init__()
        size, encoder, decoder = (config[f"{name}_size"] for name in ["embedding", "encoder", "decoder"])
        layers = config["encoder_layers"]
        self.source = nn.Embedding(vocab, size)
        self.target = self.source if config["tied"] == "all" else nn.Embedding(vocab, size)
        between = config["encoder_dropout"] if layers > 1 else 0.0
        self.encoder = nn.GRU(size, encoder, layers, batch_first=True, bidirectional=True, dropout=between)
        self.bridge = nn.Linear(2 * encoder, decoder)
        vector = decoder if config["tied"] == "none" else size
        self.cell = nn.GRUCell(size + vector, decoder)
        self.attention = Attention(decoder, 2 * encoder, config["attention_size"])
        self.combine = nn.Linear(decoder + 2 * encoder, vector)
        self.output = nn.Linear(vector, vocab)
        if config["tied"] != "none":
            self.output.weight = self.target.weight
        self.embedding_dropout = nn.Dropout(config["embedding_dropout"])
        self.encoder_dropout = nn.Dropout(config["encoder_dropout"])
        self.output_dropout = nn.Dropout(config["output_dropout"])

    @staticmethod
    def load(row, vocab):
        """The network of a row with its weights, whose names are those of the crate."""
        defaults = {"cell": "gru", "score": "additive", "input_feeding": True, "dropout_over_time": False}
        unknown = [name for name, value in defaults.items() if row["network"][name] != value]
        if unknown:
            raise ValueError(f"only the default of {', '.join(unknown)} is written here")
        network = Network(row["network"], vocab)
        weights = read_safetensors(row["weights"])
        both = [weights.pop("decoder.weight_ih_l0"), weights.pop("decoder.feed.weight")]
        weights["decoder.weight_ih_l0"] = torch.cat(both, 1)
        cell = "decoder.{}_l0"
        names = {cell.format(name): f"cell.{name}" for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]}
        names["decoder.attention.v"] = "attention.v.weight"
        weights["decoder.attention.v"] = weights["decoder.attention.v"].reshape(1, -1)
        if "embedding.weight" in weights:
            weights["source.weight"] = weights["target.weight"] = weights.pop("embedding.weight")
        weights.setdefault("output.weight", weights["target.weight"])
        named = {names.get(name, name.removeprefix("decoder.")): value for name, value in weights.items()}
        network.load_state_dict(named)
        return network

    def encode(self, sources, lengths):
        """The decoder's first state, and the keys, values and padding it attends to."""
        vectors = self.embedding_dropout(self.source(sources))
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        values = self.encoder_dropout(pad_packed_sequence(states, batch_first=True)[0])
        state = torch.tanh(self.bridge(torch.cat([last[-2], last[-1]], 1)))
        padding = torch.arange(values.shape[1]) >= lengths.unsqueeze(1)
        return state, (self.attention.key(values), values, padding)

    def decode(self, state, memory, inputs):
        """The attentional vector after each symbol, `[batch, time, size]`."""
        vectors = self.embedding_dropout(self.target(inputs))
        fed = vectors.new_zeros(len(inputs), self.combine.out_features)
        steps = []
        for vector in vectors.unbind(1):
            state = self.cell(torch.cat([vector, fed], 1), state)
            context = self.attention(state.unsqueeze(1), *memory).squeeze(1)
            fed = torch.tanh(self.combine(torch.cat([state, context], 1)))
            steps.append(fed)
        return self.output_dropout(torch.stack(steps, 1))


class Train:
    """A pass over all batches, a training step each."""

    def __init__(self, row):
        self.row = row
        data = read_safetensors(row["data"])
        self.network = Network.load(row, data["vocab"].item())
        # The fastest of the three implementations on a CPU.
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=row["rate"], fused=True)
        self.batches = []
        for number in itertools.takewhile(lambda number: f"train.{number}.source" in data, itertools.count()):
            sources, source_lengths, targets, target_lengths = (
                data[f"train.{number}.{name}"] for name in ["source", "source_lengths", "target", "target_lengths"]
            )
            inputs = torch.cat([data["end"].expand(len(targets), 1), targets[:, :-1]], 1)
            padding = torch.arange(targets.shape[1]) >= target_lengths.unsqueeze(1)
            self.batches.append((sources, source_lengths, inputs, targets.masked_fill(padding, IGNORED)))

    def loss(self, sources, lengths, inputs, targets):
        vectors = self.network.decode(*self.network.encode(sources, lengths), inputs)
        scores = self.network.output(vectors.flatten(0, 1))
        smoothing = self.row["label_smoothing"]
        return functional.cross_entropy(
            scores, targets.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
        )

    def iterate(self):
        self.network.train()
        for batch in self.batches:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(*batch)
            loss.backward()
            clip_grad_norm_(self.network.parameters(), self.row["clip"])
            self.optimizer.step()
            loss.item()  # Every training shows it; ours looks at it too.

    def check(self):
        """Of the first batch without dropout."""
        self.network.eval()
        loss = self.loss(*self.batches[0])
        loss.backward()
        norm = clip_grad_norm_(self.network.parameters(), torch.inf).item()
        self.optimizer.zero_grad(set_to_none=True)
        symbols = sum((targets != IGNORED).sum().item() for *_, targets in self.batches)
        return {"loss": loss.item(), "gradient's norm": norm, "target symbols": symbols}

    def choices(self):
        return [None]


class Search:
    """Beam search over sentences side by side, by the rules of the crate `rnn-decode`.

    Each sentence has `beam` places. Of all continuations the most probable ones go on; one that ends
    leaves the beam and takes its place with it. Ended hypotheses are ranked by ln p / lp, with
    lp = ((5 + length) / 6)^alpha and the end counted, and a sentence is done when none of its live
    hypotheses can become better than the best of them.
    """

    def __init__(self, network, end, beam, alpha):
        self.network, self.end, self.beam, self.alpha = network, end, beam, alpha

    def penalty(self, length):
        return ((5 + length) / 6) ** self.alpha

    @torch.inference_mode()
    def translate(self, sources, lengths):
        """The best hypothesis of each sentence, without its end, and its ln p."""
        network, beam = self.network, self.beam
        count = len(sources)
        state, memory = network.encode(sources, lengths)
        limits = 2 * lengths + 10
        best = torch.zeros(count, int(limits.max()), dtype=torch.long)
        # Score, ln p and length; those cut off come after all that ended.
        score, found, length = (torch.full((count,), -torch.inf, dtype=torch.double) for _ in range(3))
        ended = torch.zeros(count, dtype=torch.bool)

        sentences = torch.arange(count)  # Those still searched for, in the order of all that follows.
        places = torch.full((count,), beam)
        log_probs = torch.zeros(count, 1, dtype=torch.double)  # -inf: no hypothesis has this place.
        state, fed = state.unsqueeze(1), state.new_zeros(count, 1, network.combine.out_features)
        symbols = torch.full((count, 1, 1), self.end)  # Each hypothesis from the first symbol on.
        while len(sentences):
            # One step of all places that are taken.
            taken = log_probs > -torch.inf
            inputs = torch.cat([network.target(symbols[..., -1][taken]), fed[taken]], 1)
            rows = network.cell(inputs, state[taken])
            state = state.new_zeros(*taken.shape, rows.shape[1])
            state[taken] = rows
            context = network.attention(state, *memory)[taken]
            rows = torch.tanh(network.combine(torch.cat([rows, context], 1)))
            fed = rows.new_zeros(*taken.shape, rows.shape[1])
            fed[taken] = rows
            scores = network.output(rows)
            # The best of a sentence are among the best of each of its hypotheses.
            top, symbol = scores.topk(beam)
            top = (top - scores.logsumexp(1, keepdim=True)).double() + log_probs[taken].unsqueeze(1)
            candidates = top.new_full((*taken.shape, beam), -torch.inf)
            candidates[taken] = top
            follows = symbol.new_zeros(candidates.shape)
            follows[taken] = symbol
            log_probs, chosen = candidates.flatten(1).topk(beam)
            log_probs = log_probs.masked_fill(torch.arange(beam) >= places.unsqueeze(1), -torch.inf)
            symbol = follows.flatten(1).gather(1, chosen)
            of = lambda values: values.gather(
                1, (chosen // beam).unsqueeze(2).expand(-1, -1, values.shape[2])
            )
            state, fed = of(state), of(fed)
            symbols = torch.cat([of(symbols), symbol.unsqueeze(2)], 2)

            # Those that end, then those that are as long as they may be.
            steps = symbols.shape[2] - 1
            ends = (symbol == self.end) & (log_probs > -torch.inf)
            cut = (limits <= steps).unsqueeze(1) & ~ends & (log_probs > -torch.inf)
            for leave, size, really in [(ends, steps - 1, True), (cut, steps, False)]:
                if leave.any():
                    log_prob, place = log_probs.masked_fill(~leave, -torch.inf).max(1)
                    now = log_prob / self.penalty(size + really)
                    better = now > score[sentences] if really else ~ended[sentences] & leave.any(1)
                    number, row = sentences[better], torch.arange(len(sentences))[better]
                    score[number], found[number], length[number] = now[row], log_prob[row], size
                    ended[number] = really
                    best[number, :size] = symbols[row, place[row], 1 : size + 1]
                    places = places - leave.sum(1)
                    log_probs = log_probs.masked_fill(leave, -torch.inf)

            # Log-probabilities only fall, and the longest sequence is divided by most.
            hope = log_probs.max(1).values / self.penalty(limits + 1)
            active = hope > torch.where(ended[sentences], score[sentences], -torch.inf)
            if not active.all():
                sentences, places, limits = sentences[active], places[active], limits[active]
                state, fed, symbols, log_probs = state[active], fed[active], symbols[active], log_probs[active]
                memory = [part[active] for part in memory]
        return [
            (symbols[: int(size)], log_prob)
            for symbols, size, log_prob in zip(best.tolist(), length.tolist(), found.tolist())
        ]


class PlainSearch(Search):
    """The same search as it is mostly written: each sentence keeps its `beam` rows to the end of the batch,
    all scores are normalised, and the best are looked for among all of a sentence."""

    @torch.inference_mode()
    def translate(self, sources, lengths):
        network, beam, count = self.network, self.beam, len(sources)
        state, memory = network.encode(sources, lengths)
        state = state.repeat_interleave(beam, 0)
        memory = [part.repeat_interleave(beam, 0) for part in memory]
        fed = state.new_zeros(count * beam, network.combine.out_features)
        symbols = torch.full((count, beam, 1), self.end)
        log_probs = torch.full((count, beam), -torch.inf, dtype=torch.double)
        log_probs[:, 0] = 0
        places, limits = torch.full((count,), beam), 2 * lengths + 10
        finished = [[] for _ in range(count)]
        active = torch.ones(count, dtype=torch.bool)
        while active.any():
            inputs = torch.cat([network.target(symbols[..., -1].flatten()), fed], 1)
            state = network.cell(inputs, state)
            context = network.attention(state.unsqueeze(1), *memory).squeeze(1)
            fed = torch.tanh(network.combine(torch.cat([state, context], 1)))
            scores = network.output(fed).log_softmax(1).double().unflatten(0, (count, beam))
            vocab = scores.shape[2]
            log_probs, chosen = (scores + log_probs.unsqueeze(2)).flatten(1).topk(beam)
            log_probs = log_probs.masked_fill(torch.arange(beam) >= places.unsqueeze(1), -torch.inf)
            parent, symbol = chosen // vocab, chosen % vocab
            rows = (torch.arange(count).unsqueeze(1) * beam + parent).flatten()
            state, fed = state[rows], fed[rows]
            symbols = torch.cat([symbols.flatten(0, 1)[rows].view(count, beam, -1), symbol.unsqueeze(2)], 2)
            steps = symbols.shape[2] - 1
            live = (log_probs > -torch.inf) & active.unsqueeze(1)
            for ends, size in [(True, steps - 1), (False, steps)]:
                leave = live & (symbol == self.end) if ends else live & (limits <= steps).unsqueeze(1)
                for sentence, place in leave.nonzero().tolist():
                    log_prob = log_probs[sentence, place].item()
                    found = symbols[sentence, place, 1 : size + 1].tolist()
                    finished[sentence].append((ends, log_prob / self.penalty(size + ends), log_prob, found))
                places = places - leave.sum(1)
                log_probs, live = log_probs.masked_fill(leave, -torch.inf), live & ~leave
            hope = log_probs.max(1).values / self.penalty(limits + 1)
            best = [max((score for ended, score, *_ in some if ended), default=-math.inf) for some in finished]
            active &= hope > torch.tensor(best, dtype=torch.double)
        best = [max(some, key=lambda hypothesis: hypothesis[:2]) for some in finished]
        return [(found, log_prob) for _, _, log_prob, found in best]


class Translate:
    """Translates all sentences, of which those of about the same length stand side by side."""

    def __init__(self, row):
        self.row = row
        data = read_safetensors(row["data"])
        self.sources, self.lengths = data["test.source"], data["test.source_lengths"]
        network = Network.load(row, data["vocab"].item()).eval()
        search = PlainSearch if row.get("plain") else Search
        self.search = search(network, data["end"].item(), row["beam"], row["length_penalty"])
        self.batch = BATCHES[0]

    def translate(self):
        translations = [None] * len(self.sources)
        for numbers in self.lengths.argsort(stable=True).split(self.batch):
            lengths = self.lengths[numbers]
            sources = self.sources[numbers, : int(lengths.max())]
            for number, translation in zip(numbers.tolist(), self.search.translate(sources, lengths)):
                translations[number] = translation
        return translations

    def iterate(self):
        self.translate()

    def check(self):
        translations = self.translate()
        pathlib.Path(self.row["write"]).write_text(json.dumps(translations))
        return {"sentences": len(translations)}

    def choices(self):
        return BATCHES


class Worker(pytorch.Worker):
    def prepare(self, request):
        """Makes a row ready as it is the fastest: with oneDNN or without, with what it can choose."""
        self.current = None
        current = {"train": Train, "translate": Translate}[request["row"]["kind"]](request["row"])
        check = current.check()
        times = {}
        # A pass is long: each way is tried once, after the check has warmed up.
        for onednn, choice in itertools.product([True, False], current.choices()):
            pytorch.use_onednn(onednn)
            current.batch = choice
            times[onednn, choice] = statistics.median(pytorch.repeat(current, 0))
        onednn, current.batch = min(times, key=times.get)
        pytorch.use_onednn(onednn)
        self.current, self.per_iteration = current, 1
        return {"check": check, "oneDNN": onednn, "batch": current.batch}


if __name__ == "__main__":
    pytorch.serve(Worker())
