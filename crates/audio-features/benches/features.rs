//! Ten minutes of sound at 16 kHz: `cargo bench -p audio-features`. `RAYON_NUM_THREADS=1` for one
//! thread; `benches/torchaudio.py` measures the same in torchaudio.

use audio_features::{Audio, Channels, Config, Extractor, Features, Moments, resample, with_deltas};
use candle_rnn::Generator;
use divan::Bencher;

const RATE: u32 = 16_000;

fn main() {
    divan::main();
}

fn ten_minutes() -> Audio {
    let mut generator = Generator::new(1);
    let samples = (0..600 * RATE).map(|_| (0.1 * generator.normal()) as f32);
    Audio { samples: samples.collect(), rate: RATE }
}

fn extract(bencher: Bencher, config: Config) {
    let (audio, extractor) = (ten_minutes(), Extractor::new(config).expect("a preset is valid"));
    bencher.bench(|| extractor.extract(&audio));
}

fn log_mel() -> Features {
    let extractor = Extractor::new(Config::kaldi_fbank(RATE, 80)).expect("a preset is valid");
    extractor.extract(&ten_minutes()).expect("its rate is right")
}

#[divan::bench]
fn kaldi_fbank_80(bencher: Bencher) {
    extract(bencher, Config::kaldi_fbank(RATE, 80));
}

#[divan::bench]
fn kaldi_mfcc_13(bencher: Bencher) {
    extract(bencher, Config::kaldi_mfcc(RATE, 13));
}

#[divan::bench]
fn torchaudio_mel_80(bencher: Bencher) {
    extract(bencher, Config::torchaudio_mel(RATE, 80));
}

#[divan::bench]
fn kaldi_fbank_80_with_dither(bencher: Bencher) {
    extract(bencher, Config { dither: 1e-5, ..Config::kaldi_fbank(RATE, 80) });
}

/// In pieces of 20 ms, as a microphone gives them.
#[divan::bench]
fn kaldi_fbank_80_streamed(bencher: Bencher) {
    let audio = ten_minutes();
    let extractor = Extractor::new(Config::kaldi_fbank(RATE, 80)).expect("a preset is valid");
    bencher.bench(|| {
        let mut stream = extractor.stream();
        audio.samples.chunks(320).map(|piece| stream.push(piece).map_or(0, |new| new.frames())).sum::<usize>()
    });
}

#[divan::bench]
fn deltas_of_80(bencher: Bencher) {
    let features = log_mel();
    bencher.bench(|| with_deltas(&features, 2, 2));
}

#[divan::bench]
fn normalization_of_80(bencher: Bencher) {
    let features = log_mel();
    bencher
        .with_inputs(|| features.clone())
        .bench_values(|mut features| Moments::of(&features).normalize(&mut features).map(|()| features));
}

#[divan::bench]
fn to_8000_hz(bencher: Bencher) {
    let audio = ten_minutes();
    bencher.bench(|| resample(&audio.samples, RATE, 8000));
}

#[divan::bench]
fn reading_wav(bencher: Bencher) {
    let bytes = ten_minutes().to_wav().expect("all samples are finite");
    bencher.bench(|| Audio::from_bytes(&bytes, "ten minutes", Channels::Mean));
}
