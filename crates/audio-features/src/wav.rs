//! WAV files: read in every common form, written as 16 bits, one channel.
//!
//! Integers of `b` bits are divided by `2^(b-1)`, so that full scale is -1 to 1; 32-bit floating point
//! is taken as it stands. Plain and extensible headers, any rate, any number of channels.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::{Audio, Error};

/// Which channel of a file is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channels {
    /// The mean of all.
    #[default]
    Mean,
    /// One of them, counted from 0: left is 0, right is 1.
    Only(u16),
}

impl Audio {
    /// Reads a WAV file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Audio::from_wav`].
    pub fn read(path: impl AsRef<Path>, channels: Channels) -> Result<Self, Error> {
        let name = path.as_ref().display().to_string();
        match fs::read(&path) {
            Ok(bytes) => Self::from_wav(&bytes, &name, channels),
            Err(source) => Err(Error::Read { name, source }),
        }
    }

    /// Reads a WAV file to the end of `reader`; errors call it `name`.
    ///
    /// # Errors
    /// When the reader fails, and as [`Audio::from_wav`].
    pub fn from_reader(mut reader: impl Read, name: &str, channels: Channels) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Self::from_wav(&bytes, name, channels),
            Err(source) => Err(Error::Read { name: name.into(), source }),
        }
    }

    /// The sound in the bytes of a WAV file; errors call it `name`.
    ///
    /// # Errors
    /// When the bytes are no WAV file, end early, hold no sample or samples in another form than
    /// integers of 8 to 32 bits and 32-bit floating point, a sample that is not finite, or not the
    /// channel that is asked for.
    pub fn from_wav(bytes: &[u8], name: &str, channels: Channels) -> Result<Self, Error> {
        let mut reader = WavReader::new(Cursor::new(bytes)).map_err(|error| of_header(error, name))?;
        let WavSpec { channels: count, sample_rate, bits_per_sample, sample_format } = reader.spec();
        let name = || name.to_owned();
        if count == 0 || sample_rate == 0 {
            let reason = format!("its header says {count} channels at {sample_rate} Hz");
            return Err(Error::NotWav { name: name(), reason });
        }
        if let Channels::Only(channel) = channels
            && channel >= count
        {
            return Err(Error::Channel { name: name(), channel, channels: count });
        }
        let announced = u64::from(reader.len());
        if announced == 0 {
            return Err(Error::NoSamples { name: name() });
        }
        if !(8..=32).contains(&bits_per_sample) {
            return Err(Error::Unsupported { name: name(), bits: bits_per_sample });
        }
        // a header may announce more than there is
        let mut interleaved = Vec::with_capacity((announced as usize).min(bytes.len()));
        let read = match sample_format {
            SampleFormat::Float => gather(reader.samples::<f32>(), &mut interleaved, |sample| sample),
            SampleFormat::Int => {
                let unit = (-f32::from(bits_per_sample - 1)).exp2();
                gather(reader.samples::<i32>(), &mut interleaved, |sample| sample as f32 * unit)
            }
        };
        read.map_err(|error| match error {
            hound::Error::IoError(_) => {
                Error::Truncated { name: name(), announced, found: interleaved.len() as u64 }
            }
            _ => Error::Unsupported { name: name(), bits: bits_per_sample },
        })?;
        let moments = interleaved.chunks_exact(count.into());
        let samples: Vec<f32> = match channels {
            Channels::Mean if count == 1 => interleaved,
            Channels::Mean => moments.map(|moment| moment.iter().sum::<f32>() / f32::from(count)).collect(),
            Channels::Only(channel) => moments.map(|moment| moment[usize::from(channel)]).collect(),
        };
        if samples.is_empty() {
            return Err(Error::NoSamples { name: name() });
        }
        match samples.iter().position(|sample| !sample.is_finite()) {
            Some(index) => Err(Error::NotFinite { name: name(), index, value: samples[index] }),
            None => Ok(Self { samples, rate: sample_rate }),
        }
    }

    /// The bytes of a WAV file of one channel and 16 bits. Samples are rounded to the nearest of the
    /// 65,536 values, and cut off where they are louder than full scale.
    ///
    /// # Errors
    /// When a sample is not finite, the rate is 0, or there is more sound than the 4 GiB of a WAV file.
    pub fn to_wav(&self) -> Result<Vec<u8>, Error> {
        let named = |error: hound::Error| Error::Encoding { what: "sound", reason: error.to_string() };
        if self.rate == 0 {
            return Err(Error::setting("the rate of the signal", 0, "1 Hz or more"));
        }
        const MOST: usize = (u32::MAX as usize - 64) / 2;
        if self.samples.len() > MOST {
            let range = format!("at most {MOST}, the limit of a WAV file");
            return Err(Error::setting("the number of samples", self.samples.len() as f64, range));
        }
        let spec = WavSpec {
            channels: 1,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut bytes = Vec::with_capacity(44 + 2 * self.samples.len());
        let mut writer = WavWriter::new(Cursor::new(&mut bytes), spec).map_err(named)?;
        for (index, &value) in self.samples.iter().enumerate() {
            if !value.is_finite() {
                return Err(Error::NotFinite { name: "the signal".into(), index, value });
            }
            writer.write_sample((value * 32768.0).round() as i16).map_err(named)?;
        }
        writer.finalize().map_err(named)?;
        Ok(bytes)
    }

    /// Writes a WAV file of one channel and 16 bits: [`Audio::to_wav`]. It is written under another
    /// name and renamed, so that no reader sees a part of it.
    ///
    /// # Errors
    /// When the file cannot be written, and as [`Audio::to_wav`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.to_wav()?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".partial-{}", std::process::id()));
        fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path)).map_err(|source| {
            let _ = fs::remove_file(&partial);
            Error::Write { name: path.display().to_string(), source }
        })
    }
}

fn gather<S>(
    samples: impl Iterator<Item = hound::Result<S>>,
    into: &mut Vec<f32>,
    scaled: impl Fn(S) -> f32,
) -> hound::Result<()> {
    for sample in samples {
        into.push(scaled(sample?));
    }
    Ok(())
}

fn of_header(error: hound::Error, name: &str) -> Error {
    let name = name.to_owned();
    match error {
        hound::Error::IoError(_) => Error::NotWav { name, reason: "it ends inside the header".into() },
        hound::Error::FormatError(reason) => Error::NotWav { name, reason: reason.into() },
        _ => Error::Unsupported { name, bits: 0 },
    }
}
