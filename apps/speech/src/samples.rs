//! Samples as they come from a pipe.

use std::io::{Chain, Cursor, Read};

use anyhow::{Context, Result, ensure};
use app_kit::UsageError;
use hound::{SampleFormat, WavReader, WavSpec};

/// Samples that come one after another, of one channel or the mean of several.
pub struct Samples<R: Read> {
    form: Form<R>,
}

enum Form<R: Read> {
    /// 16-bit little-endian samples of one channel.
    Raw(R),
    /// A WAV file, of which the header has been read.
    Wav(WavReader<R>),
}

/// What was read to see what it is, and the rest.
pub type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

impl<R: Read> Samples<Whole<R>> {
    /// The samples of a stream: raw, or a WAV file if it begins like one and is not said to be raw.
    ///
    /// # Errors
    /// A header that cannot be read; [`UsageError`] for another rate than `rate`.
    pub fn of_stream(mut stream: R, is_raw: bool, rate: u32) -> Result<Self> {
        const RIFF: &[u8] = b"RIFF";
        let mut first = Vec::new();
        if !is_raw {
            let read = stream.by_ref().take(RIFF.len() as u64).read_to_end(&mut first);
            read.context("cannot read the standard input")?;
        }
        let is_wav = first == RIFF;
        let whole = Cursor::new(first).chain(stream);
        if !is_wav {
            return Ok(Self { form: Form::Raw(whole) });
        }
        let reader =
            WavReader::new(whole).context("the standard input begins like a WAV file, but is none")?;
        let WavSpec { channels, sample_rate, bits_per_sample, .. } = reader.spec();
        ensure!(channels > 0 && (8..=32).contains(&bits_per_sample), "the WAV header makes no sense");
        if sample_rate != rate {
            return Err(UsageError::new(format!(
                "the standard input has {sample_rate} samples a second, the model hears {rate}: convert it, for \
                 example with `ffmpeg -i - -ar {rate} -f wav -`"
            ))
            .into());
        }
        Ok(Self { form: Form::Wav(reader) })
    }
}

impl<R: Read> Samples<R> {
    /// The next so many samples, from -1 to 1; fewer at the end, and then none. A file whose header announces
    /// more than there is ends where it ends, as one that is still being written does.
    ///
    /// # Errors
    /// A stream that fails.
    pub fn read(&mut self, count: usize) -> Result<Vec<f32>> {
        match &mut self.form {
            Form::Raw(stream) => {
                let mut bytes = Vec::new();
                let read = stream.by_ref().take(2 * count as u64).read_to_end(&mut bytes);
                read.context("cannot read the standard input")?;
                let sample = |bytes: &[u8]| f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32_768.0;
                Ok(bytes.chunks_exact(2).map(sample).collect())
            }
            Form::Wav(reader) => {
                let WavSpec { channels, bits_per_sample, sample_format, .. } = reader.spec();
                let channels = usize::from(channels);
                let unit = (-f32::from(bits_per_sample - 1)).exp2();
                let samples = match sample_format {
                    SampleFormat::Float => take(reader.samples::<f32>(), count * channels, |sample| sample),
                    SampleFormat::Int => take(reader.samples::<i32>(), count * channels, |s| s as f32 * unit),
                }?;
                Ok(samples
                    .chunks_exact(channels)
                    .map(|all| all.iter().sum::<f32>() / channels as f32)
                    .collect())
            }
        }
    }
}

fn take<S>(
    samples: impl Iterator<Item = hound::Result<S>>,
    count: usize,
    scaled: impl Fn(S) -> f32,
) -> Result<Vec<f32>> {
    let mut taken = Vec::with_capacity(count);
    for sample in samples.take(count) {
        match sample {
            Ok(sample) => taken.push(scaled(sample)),
            // The end of the stream; hound says so with a text only.
            Err(hound::Error::IoError(_)) => break,
            Err(error) => return Err(error).context("cannot read the standard input"),
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio_features::Audio;

    #[test]
    fn a_wav_file_and_raw_samples_give_the_same_in_any_pieces() {
        let audio = Audio { samples: (0..100).map(|i| i as f32 / 128.0 - 0.4).collect(), rate: 8000 };
        let wav = audio.to_wav().unwrap();
        for (bytes, is_raw) in [(&wav[..], false), (&wav[44..], true), (&wav[44..], false)] {
            let mut samples = Samples::of_stream(bytes, is_raw, 8000).unwrap();
            let mut all = Vec::new();
            loop {
                let piece = samples.read(7).unwrap();
                if piece.is_empty() {
                    break;
                }
                all.extend(piece);
            }
            assert_eq!(all.len(), 100);
            assert!(all.iter().zip(&audio.samples).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }

    #[test]
    fn a_file_that_announces_more_ends_where_it_ends_and_another_rate_is_refused() {
        let wav = Audio { samples: vec![0.1; 50], rate: 8000 }.to_wav().unwrap();
        let mut samples = Samples::of_stream(&wav[..wav.len() - 20], false, 8000).unwrap();
        assert_eq!(samples.read(1000).unwrap().len(), 40);
        let error = Samples::of_stream(&wav[..], false, 16_000).err().unwrap().to_string();
        assert!(error.contains("8000") && error.contains("16000"), "{error}");
        assert!(Samples::of_stream(&b"RIFFnonsense"[..], false, 8000).is_err());
        assert!(Samples::of_stream(&b""[..], false, 8000).unwrap().read(10).unwrap().is_empty());
    }
}
