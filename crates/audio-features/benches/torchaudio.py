"""What `cargo bench -p audio-features` measures, in torchaudio: ten minutes at 16 kHz.

    python torchaudio.py [THREADS [ROUNDS]]

Prints the fastest and the median time of each in milliseconds. To compare on a machine that does
other work too, run it and the benchmark in turn.
"""

import statistics
import sys
import time

sys.path.pop(0)  # this file has the name of what it imports

import torch
import torchaudio
from torchaudio.compliance import kaldi

RATE = 16_000


def main() -> None:
    threads, rounds = (int(argument) for argument in (sys.argv[1:] + ["1", "5"][len(sys.argv) - 1 :]))
    torch.set_num_threads(threads)
    signal = 0.1 * torch.randn(1, 600 * RATE, generator=torch.Generator().manual_seed(1))
    spectra = torchaudio.transforms.MelSpectrogram(RATE, n_mels=80)
    log_spectra = torchaudio.transforms.MelSpectrogram(RATE, n_fft=512, win_length=400, hop_length=160, n_mels=80)
    calls = {
        "kaldi_fbank_80": lambda: kaldi.fbank(signal, sample_frequency=RATE, num_mel_bins=80),
        "kaldi_mfcc_13": lambda: kaldi.mfcc(signal, sample_frequency=RATE),
        "torchaudio_mel_80": lambda: spectra(signal),
        "log MelSpectrogram, 512/400/160": lambda: log_spectra(signal).clamp(min=1e-10).log(),
    }
    with torch.inference_mode():
        for name, call in calls.items():
            call()
            times = []
            for _ in range(rounds):
                start = time.perf_counter()
                call()
                times.append(1000 * (time.perf_counter() - start))
            print(f"{name}: fastest {min(times):.1f} ms, median {statistics.median(times):.1f} ms")


if __name__ == "__main__":
    main()
