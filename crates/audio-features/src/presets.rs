//! Configurations whose numbers are those of other programs.

use crate::{Cepstrum, Config, Logarithm, MelBank, MelScale, Padding, SpectrumKind, Triangle, Window};

impl Config {
    /// Log-mel features with the defaults of Kaldi: 25 ms under a Povey window every 10 ms,
    /// pre-emphasis 0.97, the power in `bands` bands from 20 Hz up, natural logarithm.
    ///
    /// Equal to `torchaudio.compliance.kaldi.fbank(waveform, sample_frequency=rate,
    /// num_mel_bins=bands)`. For the numbers of Kaldi's own programs and of the models trained with
    /// them, which read samples as 16-bit integers, set `scale` to 32768.
    pub fn kaldi_fbank(rate: u32, bands: usize) -> Self {
        let milliseconds = |count: f64| (f64::from(rate) * count * 0.001) as usize;
        let frame_length = milliseconds(25.0);
        Self {
            rate,
            frame_length,
            hop: milliseconds(10.0),
            fft_length: frame_length.next_power_of_two(),
            window: Window::Povey,
            periodic: false,
            padding: Padding::Snip,
            scale: 1.0,
            dither: 0.0,
            seed: 0,
            remove_dc_offset: true,
            preemphasis: 0.97,
            spectrum: SpectrumKind::Power,
            mel: Some(MelBank {
                bands,
                f_min: 20.0,
                f_max: None,
                scale: MelScale::Htk,
                triangle: Triangle::InMel,
                equal_area: false,
            }),
            logarithm: Logarithm::Natural { floor: f32::EPSILON },
            cepstrum: None,
            energy: None,
        }
    }

    /// Cepstral coefficients with the defaults of Kaldi: those of [`Config::kaldi_fbank`] with 23 bands,
    /// lifter 22.
    ///
    /// Equal to `torchaudio.compliance.kaldi.mfcc(waveform, sample_frequency=rate,
    /// num_ceps=coefficients)`.
    pub fn kaldi_mfcc(rate: u32, coefficients: usize) -> Self {
        Self { cepstrum: Some(Cepstrum { coefficients, lifter: 22.0 }), ..Self::kaldi_fbank(rate, 23) }
    }

    /// Mel power spectrum with the defaults of librosa: 2048 samples under a periodic Hann window, every
    /// 512, centred and zero beyond the ends; power in bands of equal area on Slaney's scale.
    ///
    /// Equal to `librosa.feature.melspectrogram(y=…, sr=rate, n_mels=bands)`, whose rows are our
    /// columns. With [`Logarithm::Decibel`] and a floor of 10⁻¹⁰ also to `librosa.power_to_db(…,
    /// top_db=None)` of it.
    pub fn librosa_mel(rate: u32, bands: usize) -> Self {
        Self {
            frame_length: 2048,
            hop: 512,
            fft_length: 2048,
            window: Window::Hann,
            periodic: true,
            padding: Padding::CentreZeros,
            remove_dc_offset: false,
            preemphasis: 0.0,
            mel: Some(MelBank {
                bands,
                f_min: 0.0,
                f_max: None,
                scale: MelScale::Slaney,
                triangle: Triangle::InHertz,
                equal_area: true,
            }),
            logarithm: Logarithm::None,
            ..Self::kaldi_fbank(rate, bands)
        }
    }

    /// Mel power spectrum with the defaults of `torchaudio.transforms.MelSpectrogram(rate,
    /// n_mels=bands)`: 400 samples under a periodic Hann window, every 200, centred and mirrored beyond
    /// the ends; power in bands on HTK's scale.
    pub fn torchaudio_mel(rate: u32, bands: usize) -> Self {
        Self {
            frame_length: 400,
            hop: 200,
            fft_length: 400,
            padding: Padding::CentreReflect,
            mel: Some(MelBank {
                bands,
                f_min: 0.0,
                f_max: None,
                scale: MelScale::Htk,
                triangle: Triangle::InHertz,
                equal_area: false,
            }),
            ..Self::librosa_mel(rate, bands)
        }
    }
}
