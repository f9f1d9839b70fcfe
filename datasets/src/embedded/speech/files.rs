//! The embedded set as files: sounds, and tables of what is said in them.

use std::io::{self, Cursor};
use std::sync::LazyLock;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::{Part, RATE, SEED, Synthesizer, Utterance};

/// The folder of the sounds.
pub(crate) const FOLDER: &str = "wav";

impl Utterance {
    /// The samples as a WAV file of 16 bits.
    ///
    /// ```
    /// use datasets::embedded::speech::{Part, Synthesizer};
    /// let utterance = Part::Test.utterance(42, 0, &Synthesizer::new(8000)?).expect("200 are there");
    /// assert_eq!(&utterance.wav()?[..4], b"RIFF");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When there are more samples than fit into a WAV file, of 4 GiB at most.
    pub fn wav(&self) -> io::Result<Vec<u8>> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut file = Cursor::new(vec![]);
        let write = |writer: &mut WavWriter<_>| {
            let mut samples = self.samples.iter().map(|sample| (sample * 32768.).round() as i16);
            samples.try_for_each(|sample| writer.write_sample(sample))
        };
        let written = WavWriter::new(&mut file, spec).and_then(|mut writer| {
            write(&mut writer)?;
            writer.finalize()
        });
        match written {
            Ok(()) => Ok(file.into_inner()),
            Err(hound::Error::IoError(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// A part without sounds, as tab-separated values under a line with the names
/// of the columns.
pub(crate) fn manifest(part: Part) -> String {
    let rows = labels().iter().filter(|(of, _, _)| *of == part).map(|(part, index, utterance)| {
        let (path, voice) = (name(*part, *index), utterance.voice);
        format!("{path}\t{}\t{}\t{voice}\n", utterance.text, utterance.phoneme_line())
    });
    "path\ttext\tphonemes\tvoice\n".to_owned() + &rows.collect::<String>()
}

/// The names of all sounds, with their sizes in bytes.
pub(crate) fn sounds() -> &'static [(String, u64)] {
    static FILES: LazyLock<Vec<(String, u64)>> = LazyLock::new(|| {
        let file = |(part, index, utterance): &(Part, usize, Utterance)| {
            // A header of 44 bytes, and two for every sample.
            let samples = utterance.phonemes.last().map_or(0, |segment| segment.end);
            (name(*part, *index), 44 + 2 * samples as u64)
        };
        labels().iter().map(file).collect()
    });
    &FILES
}

/// The content of one of [`sounds`].
pub(crate) fn sound(number: usize) -> io::Result<Vec<u8>> {
    let (part, index, _) = &labels()[number];
    let synthesizer = Synthesizer::new(RATE).map_err(io::Error::other)?;
    part.draw(SEED, *index).utterance(&synthesizer).wav()
}

fn name(part: Part, index: usize) -> String {
    format!("{FOLDER}/{}-{index:04}.wav", part.name())
}

/// All utterances of the embedded set, without samples.
fn labels() -> &'static [(Part, usize, Utterance)] {
    static LABELS: LazyLock<Vec<(Part, usize, Utterance)>> = LazyLock::new(|| {
        let synthesizer = Synthesizer::new(RATE).expect("the rate is one of those there are");
        let one = |part: Part, index| (part, index, part.draw(SEED, index).labels(&synthesizer));
        let of = |part: Part| (0..part.size()).map(move |index| one(part, index));
        Part::ALL.into_iter().flat_map(of).collect()
    });
    &LABELS
}

#[cfg(test)]
mod tests {
    use super::super::Voice;
    use super::*;

    #[test]
    fn a_wav_file_holds_every_sample_and_has_the_size_that_was_announced() {
        let number = Part::Train.size() + 3;
        let file = sound(number).unwrap();
        assert_eq!(file.len() as u64, sounds()[number].1);
        assert_eq!(sounds()[number].0, "wav/validation-0003.wav");
        let reader = hound::WavReader::new(&file[..]).unwrap();
        assert_eq!(reader.spec().sample_rate, RATE);
        let samples: Vec<_> = reader.into_samples::<i16>().map(|x| f32::from(x.unwrap()) / 32768.).collect();
        let said = Part::Validation.utterance(SEED, 3, &Synthesizer::new(RATE).unwrap()).unwrap();
        assert_eq!(samples, said.samples);
    }

    #[test]
    fn a_row_names_the_sound_what_is_said_when_and_by_whom() {
        let table = manifest(Part::Test);
        let row: Vec<_> = table.lines().nth(1).unwrap().split('\t').collect();
        let [path, text, phonemes, voice] = row[..] else { panic!("{row:?}") };
        assert_eq!(path, "wav/test-0000.wav");
        assert!(!text.is_empty() && phonemes.starts_with("SIL:0:"));
        assert!(Part::Test.voices().contains(&Voice::numbered(voice.parse().unwrap()).number));
        assert_eq!(table.lines().count(), 201);
    }
}
