"""The worker that measures features of sound and the CTC loss with torchaudio and PyTorch."""

import pathlib

import torch
from torch.nn import functional

import pytorch


class Features:
    """The features of a long signal, frame by frame."""

    def __init__(self, row):
        import torchaudio  # Only here: the loss wants no more than PyTorch.
        from torchaudio.compliance import kaldi

        self.row = row
        self.signal = pytorch.fill("signal", (1, row["seconds"] * row["rate"]), row["scale"])
        if row["preset"] == "kaldi_fbank":
            settings = {"sample_frequency": row["rate"], "num_mel_bins": row["bands"]}
            self.features = lambda: kaldi.fbank(self.signal, **settings)
        else:
            spectra = torchaudio.transforms.MelSpectrogram(row["rate"], n_mels=row["bands"])
            self.features = lambda: spectra(self.signal)[0].T

    @torch.inference_mode()
    def iterate(self):
        return self.features()

    def check(self):
        features = self.iterate()
        pathlib.Path(self.row["write"]).with_suffix(".pytorch").write_bytes(features.contiguous().numpy().tobytes())
        return {"frames": len(features), "root mean square": pytorch.root_mean_square(features)}


class Ctc:
    """Forward and backward pass of the loss, from logits to their gradient."""

    def __init__(self, row):
        batch, time, symbols, target = (row[name] for name in ["batch", "time", "symbols", "target"])
        logits = pytorch.fill("logits", (batch, time, symbols), row["scale"])
        # As the loss reads them: time comes first.
        self.logits = logits.transpose(0, 1).contiguous().requires_grad_()
        targets = pytorch.hash_indices("targets", batch * target) % (symbols - 1) + 1
        self.targets = targets.reshape(batch, target)
        self.lengths = torch.full((batch,), time), torch.full((batch,), target)

    def iterate(self):
        self.logits.grad = None
        log_probs = functional.log_softmax(self.logits, 2)
        loss = functional.ctc_loss(log_probs, self.targets, *self.lengths, reduction="sum")
        loss.backward()
        return loss.item()

    def check(self):
        loss = self.iterate()
        return {"loss": loss, "gradient's norm": self.logits.grad.double().norm().item()}


class Worker(pytorch.Worker):
    workloads = {"features": Features, "ctc": Ctc}


if __name__ == "__main__":
    pytorch.serve(Worker())
