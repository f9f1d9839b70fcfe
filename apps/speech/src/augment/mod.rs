//! Training recordings varied at random, so that a network learns what all of them have in common.
//!
//! | module | effect |
//! |---|---|
//! | [`speed`](mod@speed) | tempo and pitch together |
//! | [`tempo`](mod@tempo) | tempo alone |
//! | [`silence`] | silence before and after |
//! | [`reverberation`] | the echo of a room |
//! | [`noise`] | white, pink, or recorded |
//! | [`level`] | louder and quieter |
//! | [`warp`] | the frequency axis stretched, on features before they are normalised |
//! | [`equalizer`] | frequencies louder and quieter, on the same |
//! | [`masks`] | frames and bands masked, on normalised features |
//!
//! [`AugmentConfig`] says which, [`Augmenter`] does it. All is drawn from the
//! [`Generator`] that it is given: one of its own for every epoch and utterance makes the result
//! independent of the order and of threads.
//!
//! ```
//! use audio_features::{Audio, Config, Extractor, Moments};
//! use candle_rnn::Generator;
//! use speech::{AugmentConfig, Augmenter};
//!
//! # fn main() -> anyhow::Result<()> {
//! let extractor = Extractor::new(Config::kaldi_fbank(8000, 40))?;
//! let augmenter = Augmenter::new(AugmentConfig::strong(), extractor.config())?;
//!
//! let mut generator = Generator::new(7);
//! let samples = (0..4000).map(|i| (i as f32 / 3.0).sin() / 2.0).collect();
//! let samples = augmenter.sound(samples, &mut generator);
//! let mut features = extractor.extract(&Audio { samples, rate: 8000 })?;
//! augmenter.spectrum(&mut features, &mut generator)?;
//! Moments::of(&features).normalize(&mut features)?;
//! augmenter.mask(&mut features, &mut generator);
//! # Ok(()) }
//! ```

use std::fmt;

use anyhow::Result;
use audio_features::{Config, Error, Features};
use candle_rnn::Generator;

pub mod config;
pub mod equalizer;
pub mod level;
pub mod masks;
#[cfg(test)]
mod measure;
pub mod noise;
mod recordings;
pub mod reverberation;
pub mod silence;
pub mod speed;
pub mod tempo;
pub mod warp;

pub use config::{AugmentConfig, MaskConfig, NoiseColour, NoiseConfig, ReverberationConfig};
pub use equalizer::Equalizer;
pub use masks::mask;
pub use reverberation::{Convolver, ImpulseResponse};
pub use speed::speed;
pub use tempo::tempo;
pub use warp::FrequencyWarp;

use recordings::read_folder;

/// Varies recordings and their features. To be shared among threads.
pub struct Augmenter {
    config: AugmentConfig,
    rate: u32,
    /// Numbers of a frame, without deltas.
    dimension: usize,
    warp: Option<FrequencyWarp>,
    equalizer: Option<Equalizer>,
    /// Recorded noise.
    noises: Vec<Vec<f32>>,
    /// Recorded rooms.
    responses: Vec<ImpulseResponse>,
    convolver: Convolver,
}

impl fmt::Debug for Augmenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Augmenter").field(&self.config).finish()
    }
}

impl Augmenter {
    /// For recordings at the rate of `features`, and for these features. Folders of the configuration
    /// are read here, and held in memory.
    ///
    /// # Errors
    /// [`UsageError`](app_kit::UsageError) as of [`AugmentConfig::validate`], for a folder without
    /// sound, and for features that cannot be stretched: [`FrequencyWarp::new`]. A file that cannot be
    /// read.
    pub fn new(config: AugmentConfig, features: &Config) -> Result<Self> {
        config.validate()?;
        let rate = features.rate;
        let noises = match config.noise.as_ref().and_then(|noise| noise.folder.as_ref()) {
            Some(folder) => read_folder("noise.folder", folder, rate)?,
            None => Vec::new(),
        };
        let rooms = match config.reverberation.as_ref().and_then(|room| room.folder.as_ref()) {
            Some(folder) => read_folder("reverberation.folder", folder, rate)?,
            None => Vec::new(),
        };
        Ok(Self {
            rate,
            dimension: features.dimension(),
            warp: config.vtlp.map(|_| FrequencyWarp::new(features)).transpose()?,
            equalizer: (config.equalizer_db > 0.0).then(|| Equalizer::new(features)).transpose()?,
            noises,
            responses: rooms.into_iter().map(ImpulseResponse::recorded).collect(),
            convolver: Convolver::default(),
            config,
        })
    }

    /// What it was made with.
    pub fn config(&self) -> &AugmentConfig {
        &self.config
    }

    /// A recording as another speaker, at another place, might have made it.
    ///
    /// In this order: speed, tempo, silence around, echo, noise, gain, polarity. Noise is so much
    /// quieter than the recording before the silence was put around it. None of the samples is beyond
    /// full scale, -1 to 1, or the loudest of `samples`, if that is louder: the result is turned down
    /// rather than clipped. Without a sample nothing is changed. Samples must be finite.
    pub fn sound(&self, mut samples: Vec<f32>, generator: &mut Generator) -> Vec<f32> {
        let config = &self.config;
        let most = level::peak(&samples).max(1.0);
        if samples.is_empty() {
            return samples;
        }
        if let Some(range) = config.speed {
            samples = speed(&samples, draw(range, generator));
        }
        if let Some(range) = config.tempo {
            samples = tempo(&samples, draw(range, generator), self.rate);
        }
        let power = level::power(&samples);
        if let Some(range) = config.silence {
            let mut length = || (draw(range, generator) * f64::from(self.rate)) as usize;
            let (before, after) = (length(), length());
            samples = silence::surround(&samples, before, after, self.rate, generator);
        }
        if let Some(room) = &config.reverberation
            && chance(room.probability, generator)
        {
            samples = self.reverberate(&samples, room, generator);
        }
        if let Some(noise) = &config.noise
            && chance(noise.probability, generator)
        {
            let snr_db = draw(noise.snr_db, generator);
            let noise = self.noise(noise, samples.len(), generator);
            noise::add_noise(&mut samples, &noise, power, snr_db);
        }
        if let Some(range) = config.gain_db {
            level::gain(&mut samples, draw(range, generator));
        }
        if chance(config.polarity, generator) {
            level::scale(&mut samples, -1.0);
        }
        level::limit(&mut samples, most);
        samples
    }

    /// Log-mel features as of another vocal tract and another microphone, before they are normalised.
    ///
    /// # Errors
    /// When the features are not those that the augmenter was made for, or have deltas already.
    pub fn spectrum(&self, features: &mut Features, generator: &mut Generator) -> Result<(), Error> {
        if let (Some(warp), Some(range)) = (&self.warp, self.config.vtlp) {
            warp.apply(features, draw(range, generator))?;
        }
        if let Some(equalizer) = &self.equalizer {
            equalizer.apply(features, self.config.equalizer_db, generator)?;
        }
        Ok(())
    }

    /// Masks of normalised features, with or without deltas: [`mask`].
    pub fn mask(&self, features: &mut Features, generator: &mut Generator) {
        if let Some(masks) = &self.config.masks {
            mask(features, self.dimension, masks, generator);
        }
    }

    fn reverberate(
        &self,
        samples: &[f32],
        room: &ReverberationConfig,
        generator: &mut Generator,
    ) -> Vec<f32> {
        if !self.responses.is_empty() {
            let recorded = &self.responses[generator.below(self.responses.len())];
            return self.convolver.reverberate(samples, recorded);
        }
        let (rt60, ratio) = (draw(room.rt60, generator), draw(room.direct_to_reverberant_db, generator));
        let synthetic = ImpulseResponse::of_room(rt60, ratio, self.rate, generator);
        self.convolver.reverberate(samples, &synthetic)
    }

    fn noise(&self, config: &NoiseConfig, length: usize, generator: &mut Generator) -> Vec<f32> {
        let kinds = config.colours.len() + usize::from(!self.noises.is_empty());
        match config.colours.get(generator.below(kinds)) {
            Some(NoiseColour::White) => noise::white(length, generator),
            Some(NoiseColour::Pink) => noise::pink(length, generator),
            None => noise::piece(&self.noises[generator.below(self.noises.len())], length, generator),
        }
    }
}

/// A number from the first to the second, all being equally likely.
fn draw([from, to]: [f64; 2], generator: &mut Generator) -> f64 {
    from + (to - from) * generator.uniform()
}

/// True with this probability.
fn chance(probability: f64, generator: &mut Generator) -> bool {
    probability > 0.0 && generator.uniform() < probability
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use audio_features::{Audio, Extractor};
    use proptest::prelude::*;
    use rayon::prelude::*;

    use super::*;
    use measure::{frequency, tone};

    fn augmenter(config: AugmentConfig) -> Augmenter {
        Augmenter::new(config, &Config::kaldi_fbank(8000, 40)).unwrap()
    }

    fn everything() -> AugmentConfig {
        AugmentConfig { tempo: Some([0.8, 1.25]), ..AugmentConfig::strong() }
    }

    #[test]
    fn with_all_off_nothing_changes_and_nothing_is_drawn() {
        let off = augmenter(AugmentConfig::default());
        let mut generator = Generator::new(1);
        for samples in [vec![], vec![0.3], vec![-2.5, 1.0], tone(440.0, 8000, 4000)] {
            assert!(off.sound(samples.clone(), &mut generator) == samples);
        }
        let features = Features::new((0..400).map(|i| i as f32).collect(), 40).unwrap();
        let mut changed = features.clone();
        off.spectrum(&mut changed, &mut generator).unwrap();
        off.mask(&mut changed, &mut generator);
        assert_eq!(changed, features);
        assert_eq!(generator.position(), 0);
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_on_any_thread_and_another_gives_others() {
        let extractor = Extractor::new(Config::kaldi_fbank(8000, 40)).unwrap();
        let augmenter = augmenter(everything());
        let run = |seed: u64| {
            let mut generator = Generator::new(seed);
            let samples = augmenter.sound(tone(440.0, 8000, 4000), &mut generator);
            let mut features = extractor.extract(&Audio { samples, rate: 8000 }).unwrap();
            augmenter.spectrum(&mut features, &mut generator).unwrap();
            augmenter.mask(&mut features, &mut generator);
            features
        };
        let alone: Vec<Features> = (0..20).map(run).collect();
        let together: Vec<Features> = (0..20).into_par_iter().map(run).collect();
        assert!(alone == together);
        for (i, one) in alone.iter().enumerate() {
            assert!(alone[..i].iter().all(|other| other != one));
        }
    }

    #[test]
    fn each_sound_effect_alone_does_what_its_setting_says() {
        let off = AugmentConfig::default;
        let samples = tone(440.0, 8000, 4000);
        let run = |config| augmenter(config).sound(samples.clone(), &mut Generator::new(1));
        let fast = run(AugmentConfig { speed: Some([1.1, 1.1]), ..off() });
        assert!((frequency(&fast, 8000) - 484.0).abs() < 0.5);
        let spoken = run(AugmentConfig { tempo: Some([1.25, 1.25]), ..off() });
        assert_eq!(spoken.len(), 3200);
        assert!((frequency(&spoken, 8000) - 440.0).abs() < 2.0);
        let quiet = run(AugmentConfig { gain_db: Some([-20.0, -20.0]), ..off() });
        assert!((level::peak(&quiet) - 0.05).abs() < 1e-4);
        let loud = run(AugmentConfig { gain_db: Some([20.0, 20.0]), ..off() });
        assert!((level::peak(&loud) - 1.0).abs() < 1e-6);
        let negative = run(AugmentConfig { polarity: 1.0, ..off() });
        assert!(negative.iter().zip(&samples).all(|(a, b)| *a == -b));
        let surrounded = run(AugmentConfig { silence: Some([0.25, 0.25]), ..off() });
        assert!(surrounded[2000..6000] == samples);
        assert_eq!(surrounded.len(), 8000);
        let room = ReverberationConfig { probability: 1.0, ..ReverberationConfig::default() };
        let echoing = run(AugmentConfig { reverberation: Some(room), ..off() });
        assert!((level::power(&echoing) - level::power(&samples)).abs() < 1e-4);
        assert!(echoing != samples);
    }

    #[test]
    fn noise_is_measured_by_the_recording_and_not_by_it_and_its_silence() {
        let samples = tone(440.0, 8000, 4000);
        let noise = NoiseConfig { snr_db: [20.0, 20.0], ..NoiseConfig::default() };
        let config =
            AugmentConfig { silence: Some([1.0, 1.0]), noise: Some(noise), ..AugmentConfig::default() };
        let with_noise = augmenter(config.clone());
        let without = augmenter(AugmentConfig { noise: None, ..config });
        for seed in 0..5 {
            let noisy = with_noise.sound(samples.clone(), &mut Generator::new(seed));
            let clean = without.sound(samples.clone(), &mut Generator::new(seed));
            let added: Vec<f32> = noisy.iter().zip(&clean).map(|(a, b)| a - b).collect();
            let measured = 10.0 * (level::power(&samples) / level::power(&added)).log10();
            assert!((measured - 20.0).abs() < 0.01, "{measured}");
        }
    }

    #[test]
    fn noise_and_rooms_come_from_the_folders_that_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut click = vec![0.0; 100];
        (click[10], click[40]) = (0.5, 0.25);
        Audio { samples: click, rate: 8000 }.write(folder.path().join("room.wav")).unwrap();
        let noise =
            NoiseConfig { colours: vec![], folder: Some(folder.path().to_owned()), ..NoiseConfig::default() };
        let room = ReverberationConfig {
            probability: 1.0,
            folder: Some(folder.path().to_owned()),
            ..ReverberationConfig::default()
        };
        let mut samples = vec![0.0; 200];
        samples[0] = 0.5;
        let config = AugmentConfig { reverberation: Some(room), ..AugmentConfig::default() };
        let echoing = augmenter(config).sound(samples.clone(), &mut Generator::new(1));
        assert!((echoing[30] / echoing[0] - 0.5).abs() < 1e-3);
        let config = AugmentConfig { noise: Some(noise), ..AugmentConfig::default() };
        let noisy = augmenter(config).sound(samples, &mut Generator::new(1));
        assert_eq!(noisy[1..].iter().filter(|&&x| x != 0.0).count(), 4);
        assert!(noisy[40] > 0.0 && noisy[140] == noisy[40]);
    }

    #[test]
    fn wrong_settings_and_features_that_cannot_be_stretched_are_wrong_usage() {
        let features = Config::kaldi_mfcc(8000, 13);
        let vtlp = AugmentConfig { vtlp: Some([0.9, 1.1]), ..AugmentConfig::default() };
        let speed = AugmentConfig { speed: Some([0.0, 1.1]), ..AugmentConfig::default() };
        let folder = NoiseConfig { folder: Some("no such folder".into()), ..NoiseConfig::default() };
        let noise = AugmentConfig { noise: Some(folder), ..AugmentConfig::default() };
        for config in [vtlp, speed, noise] {
            assert!(Augmenter::new(config, &features).unwrap_err().is::<app_kit::UsageError>());
        }
    }

    proptest! {
        #[test]
        fn recordings_of_any_length_and_loudness_stay_finite_and_within_full_scale(
            length in prop_oneof![Just(0usize), Just(1), 2usize..40, 40usize..6000],
            loudness in 0.0f32..3.0, seed: u64,
        ) {
            static AUGMENTER: OnceLock<Augmenter> = OnceLock::new();
            let augmenter = AUGMENTER.get_or_init(|| augmenter(everything()));
            let mut generator = Generator::new(seed);
            let samples: Vec<f32> =
                (0..length).map(|_| loudness * (2.0 * generator.uniform() as f32 - 1.0)).collect();
            let most = level::peak(&samples).max(1.0);
            let changed = augmenter.sound(samples, &mut generator);
            prop_assert_eq!(changed.is_empty(), length == 0);
            prop_assert!(changed.iter().all(|x| x.is_finite() && x.abs() <= most));
            // 0.4 s of silence, and speed and tempo at their slowest
            prop_assert!(changed.len() as f64 <= 3200.0 + length as f64 / 0.64 + 2.0);
        }
    }
}
