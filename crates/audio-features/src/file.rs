//! Sound files: WAV and FLAC, told apart by their first bytes.
//!
//! Integers of `b` bits are divided by `2^(b-1)`, so that full scale is -1 to 1; 32-bit floating point
//! is taken as it stands. Any rate, any number of channels.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::{Audio, Error, flac, wav};

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
    /// Reads a WAV or FLAC file. Its name does not matter.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Audio::from_bytes`].
    pub fn read(path: impl AsRef<Path>, channels: Channels) -> Result<Self, Error> {
        let name = path.as_ref().display().to_string();
        match fs::read(&path) {
            Ok(bytes) => Self::from_bytes(&bytes, &name, channels),
            Err(source) => Err(Error::Read { name, source }),
        }
    }

    /// Reads a WAV or FLAC file to the end of `reader`; errors call it `name`.
    ///
    /// # Errors
    /// When the reader fails, and as [`Audio::from_bytes`].
    pub fn from_reader(mut reader: impl Read, name: &str, channels: Channels) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Self::from_bytes(&bytes, name, channels),
            Err(source) => Err(Error::Read { name: name.into(), source }),
        }
    }

    /// The sound in the bytes of a WAV or FLAC file; errors call it `name`.
    ///
    /// # Errors
    /// When the bytes are neither, are damaged, end early, hold no sample, samples in a form that is
    /// not supported, a sample that is not finite, or not the channel that is asked for.
    pub fn from_bytes(bytes: &[u8], name: &str, channels: Channels) -> Result<Self, Error> {
        let decoded = match bytes {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => wav::decode(bytes, name)?,
            [b'f', b'L', b'a', b'C', ..] => flac::decode(bytes, name)?,
            [] => return Err(Error::NoSamples { name: name.into() }),
            _ => return Err(Error::OtherFormat { name: name.into(), found: other_format(bytes) }),
        };
        decoded.heard(name, channels)
    }
}

/// All samples of a file.
pub(crate) struct Decoded {
    /// One sample of each channel, then the next of each.
    pub(crate) interleaved: Vec<f32>,
    /// How many channels, 1 or more.
    pub(crate) channels: u16,
    /// Samples per second.
    pub(crate) rate: u32,
}

impl Decoded {
    fn heard(self, name: &str, channels: Channels) -> Result<Audio, Error> {
        let Self { interleaved, channels: count, rate } = self;
        let name = || name.to_owned();
        if let Channels::Only(channel) = channels
            && channel >= count
        {
            return Err(Error::Channel { name: name(), channel, channels: count });
        }
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
            None => Ok(Audio { samples, rate }),
        }
    }
}

/// What a file is that is not read, as far as its first bytes tell.
fn other_format(bytes: &[u8]) -> &'static str {
    match bytes {
        [b'I', b'D', b'3', ..] => "an MP3 file",
        // eleven bits that begin a frame, two of the version, two that say layer III
        [0xff, second, ..] if second & 0xe6 == 0xe2 => "an MP3 file",
        [b'O', b'g', b'g', b'S', ..] => "an Ogg file",
        _ => "neither a WAV nor a FLAC file",
    }
}
