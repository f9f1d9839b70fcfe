//! Whether recordings and their texts are fit to learn from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use anyhow::Result;
use audio_features::Audio;
use rayon::prelude::*;
use serde::Serialize;

use crate::Utterance;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckConfig<'a> {
    /// A frame of 10 ms is silent below this level, in dB of full scale.
    pub silence: f64,
    /// Characters of text in a second of sound, beyond which a text is too long.
    pub fastest: f64,
    /// The symbols a text may consist of; without them any.
    pub alphabet: Option<&'a BTreeSet<char>>,
}

impl Default for CheckConfig<'_> {
    /// Silence is below -60 dB; nobody says more than 30 characters in a second.
    fn default() -> Self {
        Self { silence: -60.0, fastest: 30.0, alphabet: None }
    }
}

/// What [`check`] found. Its text is for people, its JSON for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// All recordings together.
    pub totals: Totals,
    /// Every recording, in the order of the utterances.
    pub recordings: Vec<Recording>,
}

/// All recordings together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// How many recordings there are.
    pub recordings: usize,
    /// How many have at least one problem.
    pub with_problems: usize,
    /// Length of all that can be read, in hours.
    pub hours: f64,
    /// How many recordings have which rate, in Hz.
    pub rates: BTreeMap<u32, usize>,
    /// How many recordings are how long.
    pub durations: Vec<Durations>,
    /// How many recordings have which text, if there are at most 50 texts with two recordings or more on
    /// average; else nothing.
    pub labels: BTreeMap<String, usize>,
}

/// How many recordings are longer than one duration, up to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Durations {
    /// In seconds; the first are from 0 on.
    pub above: f64,
    /// In seconds; none for the last.
    pub up_to: Option<f64>,
    /// How many recordings.
    pub count: usize,
}

/// One recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recording {
    /// The name of the utterance.
    pub name: String,
    /// What was measured; none if it cannot be read.
    #[serde(flatten)]
    pub measures: Option<Measures>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// What is measured of a recording, its channels averaged. Levels are in dB of full scale, where a
/// square wave from -1 to 1 has 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// Length in seconds.
    pub duration: f64,
    /// Samples per second.
    pub rate: u32,
    /// The largest absolute sample; 1 is full scale.
    pub peak: f64,
    /// Level of all of it (root mean square); none if every sample is 0.
    pub level: Option<f64>,
    /// The share of frames of 10 ms that are silent, from 0 to 1.
    pub silence: f64,
    /// Samples at full scale with another beside them.
    pub clipped: usize,
    /// The mean of all samples (DC offset).
    pub offset: f64,
}

/// What can be wrong with a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// It cannot be read.
    Unreadable {
        /// Why.
        error: String,
    },
    /// It has the same samples as one before it.
    Duplicate {
        /// Which one.
        of: String,
    },
    /// Most recordings have another rate.
    Rate {
        /// Its rate in Hz.
        rate: u32,
        /// That of most, in Hz.
        usual: u32,
    },
    /// Not one frame is above silence.
    Silent,
    /// Samples lie at full scale, side by side: it was recorded too loud.
    Clipped {
        /// How many.
        samples: usize,
    },
    /// The mean of its samples is far from 0.
    Offset {
        /// The mean; 1 is full scale.
        offset: f64,
    },
    /// Nothing is said in it.
    EmptyText,
    /// Its text has symbols that are not in the alphabet.
    Symbols {
        /// Which.
        symbols: BTreeSet<char>,
    },
    /// Nobody says so much in so little time: the text may be of another recording.
    TooFast {
        /// Characters of text in a second of sound.
        characters_per_second: f64,
    },
}

/// Listens to every recording, on all threads.
pub fn check(utterances: &[Utterance], config: &CheckConfig) -> Report {
    let heard: Vec<Result<Heard>> =
        utterances.par_iter().map(|utterance| Ok(hear(&utterance.sound.read()?, config))).collect();
    let mut rates: BTreeMap<u32, usize> = BTreeMap::new();
    for heard in heard.iter().flatten() {
        *rates.entry(heard.measures.rate).or_default() += 1;
    }
    // Among rates of as many recordings that of the first: one of them is not odd beside the other.
    let in_order = heard.iter().flatten().map(|heard| heard.measures.rate).rev();
    let usual = in_order.max_by_key(|rate| rates[rate]);
    let mut first: HashMap<Fingerprint, &str> = HashMap::new();
    let mut recordings = Vec::new();
    for (utterance, heard) in utterances.iter().zip(heard) {
        let name = utterance.name.clone();
        let mut problems = Vec::new();
        let measures = match heard {
            Ok(Heard { measures, fingerprint }) => {
                match first.get(&fingerprint) {
                    Some(of) => problems.push(Problem::Duplicate { of: (*of).to_owned() }),
                    None => _ = first.insert(fingerprint, &utterance.name),
                }
                problems.extend(of_sound(&measures, usual));
                Some(measures)
            }
            Err(error) => {
                problems.push(Problem::Unreadable { error: format!("{error:#}") });
                None
            }
        };
        problems.extend(of_text(&utterance.text, measures.as_ref(), config));
        recordings.push(Recording { name, measures, problems });
    }
    let seconds: Vec<f64> =
        recordings.iter().filter_map(|one| Some(one.measures.as_ref()?.duration)).collect();
    let totals = Totals {
        recordings: recordings.len(),
        with_problems: recordings.iter().filter(|recording| !recording.problems.is_empty()).count(),
        hours: seconds.iter().sum::<f64>() / 3600.0,
        rates,
        durations: durations(&seconds),
        labels: labels(utterances),
    };
    Report { totals, recordings }
}

/// What one pass over a recording gives.
struct Heard {
    measures: Measures,
    fingerprint: Fingerprint,
}

/// By which the same samples are known: their hash, their number and their rate.
type Fingerprint = (u64, usize, u32);

/// The largest sample of 16 bits; those of more bits that reach it are as good as full scale.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;

fn hear(audio: &Audio, config: &CheckConfig) -> Heard {
    let Audio { samples, rate } = audio;
    let power = |samples: &[f32]| {
        samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
    };
    let frame = (*rate as usize / 100).max(1);
    let threshold = 10f64.powf(config.silence / 10.0);
    let silent = samples.chunks(frame).filter(|frame| power(frame) < threshold).count();
    let whole = power(samples);
    let full = |at: usize| samples.get(at).is_some_and(|sample| sample.abs() >= FULL_SCALE);
    let is_clipped = |at: &usize| full(*at) && (full(at + 1) || at.checked_sub(1).is_some_and(full));
    let mut hasher = DefaultHasher::new();
    samples.iter().for_each(|sample| hasher.write_u32(sample.to_bits()));
    let measures = Measures {
        duration: audio.duration(),
        rate: *rate,
        peak: samples.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs())).into(),
        level: (whole > 0.0).then(|| 10.0 * whole.log10()),
        silence: silent as f64 / samples.len().div_ceil(frame).max(1) as f64,
        clipped: (0..samples.len()).filter(is_clipped).count(),
        offset: samples.iter().map(|sample| f64::from(*sample)).sum::<f64>() / samples.len().max(1) as f64,
    };
    Heard { measures, fingerprint: (hasher.finish(), samples.len(), *rate) }
}

fn of_sound(measures: &Measures, usual: Option<u32>) -> Vec<Problem> {
    // 1 % of full scale, or -40 dB
    const OFFSET: f64 = 0.01;
    let &Measures { rate, silence, clipped, offset, .. } = measures;
    let mut problems = Vec::new();
    if let Some(usual) = usual.filter(|usual| *usual != rate) {
        problems.push(Problem::Rate { rate, usual });
    }
    if silence >= 1.0 {
        problems.push(Problem::Silent);
    }
    if clipped > 0 {
        problems.push(Problem::Clipped { samples: clipped });
    }
    if offset.abs() > OFFSET {
        problems.push(Problem::Offset { offset });
    }
    problems
}

fn of_text(text: &str, measures: Option<&Measures>, config: &CheckConfig) -> Vec<Problem> {
    if text.trim().is_empty() {
        return vec![Problem::EmptyText];
    }
    let mut problems = Vec::new();
    if let Some(alphabet) = config.alphabet {
        let symbols: BTreeSet<char> = text.chars().filter(|symbol| !alphabet.contains(symbol)).collect();
        if !symbols.is_empty() {
            problems.push(Problem::Symbols { symbols });
        }
    }
    if let Some(Measures { duration, .. }) = measures.filter(|measures| measures.duration > 0.0) {
        let characters_per_second = text.chars().count() as f64 / duration;
        if characters_per_second > config.fastest {
            problems.push(Problem::TooFast { characters_per_second });
        }
    }
    problems
}

fn durations(seconds: &[f64]) -> Vec<Durations> {
    const EDGES: [f64; 9] = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
    let between = |(at, &above): (usize, &f64)| {
        let up_to = EDGES.get(at + 1).copied();
        let is_between =
            |duration: &&f64| **duration > above && up_to.is_none_or(|up_to| **duration <= up_to);
        Durations { above, up_to, count: seconds.iter().filter(is_between).count() }
    };
    EDGES.iter().enumerate().map(between).collect()
}

fn labels(utterances: &[Utterance]) -> BTreeMap<String, usize> {
    const MOST: usize = 50;
    let mut labels = BTreeMap::new();
    for utterance in utterances {
        *labels.entry(utterance.text.clone()).or_default() += 1;
    }
    if labels.len() > MOST || 2 * labels.len() > utterances.len() {
        labels.clear();
    }
    labels
}

impl Problem {
    /// What recordings with this problem are, and the details of this one.
    fn told(&self) -> (&'static str, String) {
        match self {
            Self::Unreadable { error } => ("cannot be read", error.clone()),
            Self::Duplicate { of } => ("have the same samples as another", format!("as {of}")),
            Self::Rate { rate, usual } => ("have another rate", format!("{rate} Hz instead of {usual}")),
            Self::Silent => ("are silent", String::new()),
            Self::Clipped { samples } => ("are clipped", format!("{samples} samples at full scale")),
            Self::Offset { offset } => ("are not centred", format!("the mean is {offset:.3}")),
            Self::EmptyText => ("have no text", String::new()),
            Self::Symbols { symbols } => ("have symbols outside the alphabet", format!("{symbols:?}")),
            Self::TooFast { characters_per_second } => {
                ("have more text than can be said", format!("{characters_per_second:.0} characters/s"))
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.totals.fmt(f)?;
        let mut problems: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for Recording { name, problems: found, .. } in &self.recordings {
            for (what, details) in found.iter().map(Problem::told) {
                let separator = if details.is_empty() { "" } else { ": " };
                problems.entry(what).or_default().push(format!("{name}{separator}{details}"));
            }
        }
        if problems.is_empty() {
            return write!(f, "no problems");
        }
        write!(f, "{} recordings have problems", self.totals.with_problems)?;
        const SHOWN: usize = 10;
        for (what, found) in problems {
            write!(f, "\n{} {what}", found.len())?;
            found.iter().take(SHOWN).try_for_each(|one| write!(f, "\n  {one}"))?;
            if found.len() > SHOWN {
                write!(f, "\n  … and {} more", found.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates: Vec<_> = self.rates.iter().map(|(rate, count)| format!("{count} at {rate} Hz")).collect();
        writeln!(f, "{} recordings, {:.2} hours: {}", self.recordings, self.hours, rates.join(", "))?;
        let most = self.durations.iter().map(|durations| durations.count).max().unwrap_or(0).max(1);
        const WIDTH: usize = 40;
        for Durations { above, up_to, count } in self.durations.iter().filter(|durations| durations.count > 0)
        {
            let range = match up_to {
                Some(up_to) => format!("{above} to {up_to} s"),
                None => format!("above {above} s"),
            };
            writeln!(f, "  {range:<14} {count:>8} {}", "█".repeat((count * WIDTH).div_ceil(most)))?;
        }
        if !self.labels.is_empty() {
            let labels: Vec<_> =
                self.labels.iter().map(|(label, count)| format!("{label} {count}")).collect();
            writeln!(f, "{} labels: {}", labels.len(), labels.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::Sound;

    fn said(name: &str, text: &str, samples: Vec<f32>, rate: u32) -> Utterance {
        Utterance {
            name: name.into(),
            text: text.into(),
            fields: BTreeMap::new(),
            sound: Sound::Memory(Arc::new(Audio { samples, rate })),
        }
    }

    fn tone(amplitude: f32, seconds: f32) -> Vec<f32> {
        (0..(seconds * 8000.0) as usize).map(|n| amplitude * (n as f32 * TAU / 80.0).sin()).collect()
    }

    #[test]
    fn a_tone_has_the_duration_peak_level_and_silence_it_was_given() {
        let samples = [tone(0.5, 0.75), vec![0.0; 2000]].concat();
        let report = check(&[said("a", "one", samples, 8000)], &CheckConfig::default());
        let Measures { duration, rate, peak, level, silence, clipped, offset } =
            report.recordings[0].measures.clone().unwrap();
        assert_eq!((duration, rate, silence, clipped), (1.0, 8000, 0.25, 0));
        assert!((peak - 0.5).abs() < 1e-6 && offset.abs() < 1e-6);
        // a sine has half the power of a square wave, and it is heard three quarters of the time
        let expected = 10.0 * (0.25f64 / 2.0 * 0.75).log10();
        assert!((level.unwrap() - expected).abs() < 1e-4);
        assert_eq!(report.recordings[0].problems, []);
        assert!(report.to_string().ends_with("no problems"));
    }

    #[test]
    fn every_problem_is_found_and_told() {
        let alphabet: BTreeSet<char> = "aefnort ".chars().collect();
        let config = CheckConfig { alphabet: Some(&alphabet), ..CheckConfig::default() };
        let loud = tone(3.0, 0.5).into_iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
        let missing = Utterance { sound: Sound::File("none.wav".into()), ..said("b", "one", vec![], 1) };
        let utterances = [
            said("a", "one", tone(0.1, 0.5), 8000),
            missing,
            said("c", "one", tone(0.1, 0.5), 8000),
            said("d", "one", tone(0.2, 0.5), 16_000),
            said("e", "one", vec![1e-5; 4000], 8000),
            said("f", "one", loud, 8000),
            said("g", "one", tone(0.1, 0.6).into_iter().map(|sample| sample - 0.2).collect(), 8000),
            said("h", " ", tone(0.1, 0.7), 8000),
            said("i", "sven", tone(0.1, 0.8), 8000),
            said("j", "a note for a foe at one to note for a foe at ten", tone(0.1, 0.9), 8000),
        ];
        let report = check(&utterances, &config);
        let problems: Vec<_> = report.recordings.iter().flat_map(|one| &one.problems).collect();
        let [
            Problem::Unreadable { error },
            Problem::Duplicate { of },
            Problem::Rate { rate: 16_000, usual: 8000 },
            Problem::Silent,
            Problem::Clipped { samples },
            Problem::Offset { offset },
            Problem::EmptyText,
            Problem::Symbols { symbols },
            Problem::TooFast { characters_per_second },
        ] = &problems[..]
        else {
            panic!("{problems:?}")
        };
        assert!(error.contains("none.wav"));
        assert_eq!(of, "a");
        assert!((2000..4000).contains(samples) && (offset + 0.2).abs() < 1e-3);
        assert_eq!(symbols.iter().collect::<String>(), "sv");
        assert!((characters_per_second - 48.0 / 0.9).abs() < 1e-6);
        assert_eq!((report.totals.recordings, report.totals.with_problems), (10, 9));
        let text = report.to_string();
        for told in ["10 recordings", "8 at 8000 Hz, 1 at 16000 Hz", "1 are silent\n  e\n", "c: as a"] {
            assert!(text.contains(told), "{text}");
        }
    }

    #[test]
    fn the_largest_sample_alone_is_no_clipping() {
        let samples = vec![0.0, 1.0, 0.0, -1.0, -1.0, 0.0, 1.0];
        let report =
            check(&[said("a", "one", samples, 8000)], &CheckConfig { fastest: 1e9, ..Default::default() });
        assert_eq!(report.recordings[0].measures.as_ref().unwrap().clipped, 2);
    }

    #[test]
    fn few_labels_are_counted_and_many_texts_are_not() {
        let of = |texts: &[&str]| {
            let said = |(at, text): (usize, &&str)| said(&at.to_string(), text, tone(0.1, 0.1), 8000);
            check(&texts.iter().enumerate().map(said).collect::<Vec<_>>(), &CheckConfig::default())
        };
        let report = of(&["yes", "no", "yes", "no", "yes"]);
        assert_eq!(report.totals.labels, BTreeMap::from([("no".into(), 2), ("yes".into(), 3)]));
        assert!(report.to_string().contains("2 labels: no 2, yes 3"));
        assert!(of(&["yes", "no", "perhaps"]).totals.labels.is_empty());
    }

    #[test]
    fn a_report_is_json_for_programs() {
        let utterances = [said("a", "", vec![0.0; 80], 8000), said("b", "", tone(0.1, 0.3), 8000)];
        let json = serde_json::to_value(check(&utterances, &CheckConfig::default())).unwrap();
        assert_eq!(json["totals"]["durations"][1]["count"], 1);
        let first = &json["recordings"][0];
        assert_eq!((&first["name"], &first["duration"]), (&"a".into(), &0.01.into()));
        assert!(first["level"].is_null());
        assert_eq!(first["problems"][1]["problem"], "empty-text");
    }

    proptest! {
        #[test]
        fn no_sound_and_no_text_make_it_panic(
            samples in prop::collection::vec(any::<f32>(), 0..300), rate: u32, text: String,
        ) {
            let alphabet = BTreeSet::from(['a']);
            let config = CheckConfig { alphabet: Some(&alphabet), ..CheckConfig::default() };
            let report = check(&[said("a", &text, samples, rate)], &config);
            let measures = report.recordings[0].measures.as_ref().unwrap();
            prop_assert!((0.0..=1.0).contains(&measures.silence));
            prop_assert!(!report.to_string().is_empty());
        }
    }
}
