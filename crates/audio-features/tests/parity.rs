//! Features agree with torchaudio's and librosa's.
//!
//! `fixtures/make_fixtures.py` made the numbers and says by which calls.

use std::path::Path;

use audio_features::{
    Audio, Cepstrum, Config, Energy, Extractor, Features, Logarithm, MelBank, MelScale, Padding,
    SpectrumKind, Triangle, Window, deltas,
};
use safetensors::{Dtype, SafeTensors};

const RATE: u32 = 16_000;

/// Of logarithms and what is computed from them: absolute.
const LOG_TOLERANCE: f32 = 1e-4;

/// Of powers and magnitudes: relative. Where there is nothing but the rounding errors of both sides, a
/// part of the largest value of the frame counts too.
const RELATIVE_TOLERANCE: f32 = 1e-4;
const ROUNDING: f32 = 1e-8;

struct Fixtures(Vec<u8>);

impl Fixtures {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/features.safetensors");
        Self(std::fs::read(path).unwrap())
    }

    fn audio(&self) -> Audio {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor("waveform").unwrap();
        assert_eq!(tensor.dtype(), Dtype::I16);
        let (samples, _) = tensor.data().as_chunks::<2>();
        let samples = samples.iter().map(|&bytes| f32::from(i16::from_le_bytes(bytes)) / 32_768.0);
        Audio { samples: samples.collect(), rate: RATE }
    }

    fn features(&self, name: &str) -> Features {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::F32);
        let values = tensor.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        Features::new(values.collect(), tensor.shape()[1]).unwrap()
    }
}

fn extract(config: Config) -> Features {
    let rate = config.rate;
    let audio = Audio { rate, ..Fixtures::read().audio() };
    Extractor::new(config).unwrap().extract(&audio).unwrap()
}

fn assert_same(name: &str, found: &Features, tolerance: impl Fn(&[f32], f32) -> f32) {
    let expected = Fixtures::read().features(name);
    assert_eq!(
        (found.frames(), found.dimension()),
        (expected.frames(), expected.dimension()),
        "frames and dimension of {name}"
    );
    let mut worst = (0.0, String::new());
    for (frame, (found, expected)) in found.rows().zip(expected.rows()).enumerate() {
        for (column, (value, &exact)) in found.iter().zip(expected).enumerate() {
            let excess = (value - exact).abs() / tolerance(expected, exact);
            if excess.is_nan() || excess > worst.0 {
                worst = (excess, format!("frame {frame}, column {column}: {value} for {exact}"));
            }
        }
    }
    println!("{name}: worst error is {:.3} of the tolerance, in {}", worst.0, worst.1);
    assert!(worst.0 <= 1.0, "{name}: {} times the tolerance in {}", worst.0, worst.1);
}

fn assert_same_logarithms(name: &str, config: Config) {
    assert_same(name, &extract(config), |frame, exact| {
        // Both sides' transforms are in single precision: of a band that is nothing beside the loudest of
        // its frame, a part is rounding.
        let largest = frame.iter().copied().fold(f32::MIN, f32::max);
        LOG_TOLERANCE + ROUNDING * (largest - exact).exp()
    });
}

fn assert_same_powers(name: &str, config: Config) {
    assert_same(name, &extract(config), |frame, exact| {
        let largest = frame.iter().copied().fold(1e-20, f32::max);
        RELATIVE_TOLERANCE * exact + ROUNDING * largest
    });
}

fn bank(config: &Config) -> MelBank {
    config.mel.clone().unwrap()
}

#[test]
fn log_mel_features_are_kaldis() {
    assert_same_logarithms("kaldi_fbank", Config::kaldi_fbank(RATE, 80));
    assert_same_logarithms("kaldi_fbank_8000", Config::kaldi_fbank(8000, 40));
}

#[test]
fn integers_energy_and_frames_at_the_edges_are_kaldis() {
    let config = Config {
        scale: 32_768.0,
        padding: Padding::Mirror,
        energy: Some(Energy { raw: true, floor: 1.0 }),
        ..Config::kaldi_fbank(RATE, 40)
    };
    assert_same_logarithms("kaldi_fbank_energy", config);
}

#[test]
fn magnitudes_under_a_hamming_window_are_kaldis() {
    let config = Config::kaldi_fbank(RATE, 30);
    let config = Config {
        window: Window::Hamming,
        remove_dc_offset: false,
        preemphasis: 0.0,
        spectrum: SpectrumKind::Magnitude,
        mel: Some(MelBank { f_min: 80.0, f_max: Some(7600.0), ..bank(&config) }),
        logarithm: Logarithm::None,
        ..config
    };
    assert_same_powers("kaldi_fbank_magnitude", config);
}

#[test]
fn frames_of_any_length_are_kaldis() {
    let config = Config {
        frame_length: 480,
        hop: 200,
        fft_length: 480,
        window: Window::Blackman,
        energy: Some(Energy { raw: false, floor: 0.0 }),
        ..Config::kaldi_fbank(RATE, 40)
    };
    assert_same_logarithms("kaldi_fbank_any_length", config);
}

#[test]
fn cepstra_and_their_deltas_are_kaldis() {
    let cepstra = extract(Config::kaldi_mfcc(RATE, 13));
    // Liftering multiplies the rounding of a cepstrum by up to twelve.
    assert_same("kaldi_mfcc", &cepstra, |_, exact| 2.0 * LOG_TOLERANCE * exact.abs().max(1.0));
    assert_same("kaldi_mfcc_deltas", &deltas(&cepstra, 2).unwrap(), |_, _| LOG_TOLERANCE);
    let config = Config {
        scale: 32_768.0,
        cepstrum: Some(Cepstrum { coefficients: 20, lifter: 0.0 }),
        energy: Some(Energy { raw: true, floor: 1.0 }),
        ..Config::kaldi_fbank(RATE, 40)
    };
    assert_same("kaldi_mfcc_energy", &extract(config), |_, _| LOG_TOLERANCE);
}

#[test]
fn mel_spectra_are_torchaudios() {
    assert_same_powers("torchaudio_mel", Config::torchaudio_mel(RATE, 40));
}

#[test]
fn mel_spectra_are_librosas() {
    assert_same_powers("librosa_mel", Config::librosa_mel(RATE, 64));
    assert_same_powers("librosa_mel_22050", Config::librosa_mel(22_050, 128));
    let config = Config::librosa_mel(RATE, 40);
    let config = Config {
        frame_length: 400,
        hop: 160,
        fft_length: 512,
        padding: Padding::CentreReflect,
        mel: Some(MelBank {
            f_min: 50.0,
            f_max: Some(7000.0),
            scale: MelScale::Htk,
            triangle: Triangle::InHertz,
            equal_area: false,
            ..bank(&config)
        }),
        ..config
    };
    assert_same_powers("librosa_mel_htk", config);
}

#[test]
fn decibels_and_their_cepstra_are_librosas() {
    let config = Config { logarithm: Logarithm::Decibel { floor: 1e-10 }, ..Config::librosa_mel(RATE, 64) };
    assert_same_logarithms("librosa_decibel", config.clone());
    let cepstra = extract(Config { cepstrum: Some(Cepstrum { coefficients: 20, lifter: 0.0 }), ..config });
    assert_same("librosa_mfcc", &cepstra, |_, exact| LOG_TOLERANCE * exact.abs().max(1.0));
}

#[test]
fn spectra_of_an_odd_length_are_librosas() {
    let config = Config {
        frame_length: 301,
        hop: 400,
        fft_length: 301,
        spectrum: SpectrumKind::Magnitude,
        mel: None,
        ..Config::librosa_mel(RATE, 64)
    };
    assert_same_powers("librosa_stft", config);
}
