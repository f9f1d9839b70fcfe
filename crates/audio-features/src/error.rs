//! What can be wrong with a file, a setting or a table of features.

use std::io;

/// Why there are no features. `name` is the file's path, or what the caller calls its bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or reader gave no bytes.
    #[error("cannot read {name}: {source}")]
    Read {
        /// Which file.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {name}: {source}")]
    Write {
        /// Which file.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The bytes are neither a WAV nor a FLAC file.
    #[error(
        "{name} is {found}; only WAV and FLAC are read: convert it, for example `ffmpeg -i {name} out.wav`"
    )]
    OtherFormat {
        /// Which file.
        name: String,
        /// What it is, as far as its first bytes tell: `an MP3 file`.
        found: &'static str,
    },
    /// The bytes begin as a WAV or FLAC file does, and make no sense further on.
    #[error("{name} is damaged ({reason}); get the file again")]
    Damaged {
        /// Which file.
        name: String,
        /// What is missing or wrong.
        reason: String,
    },
    /// The file ends early.
    #[error(
        "{name} is cut off: its header announces {announced} samples and {found} are there; get the file again"
    )]
    Truncated {
        /// Which file.
        name: String,
        /// Samples of all channels that the header announces.
        announced: u64,
        /// Samples that could be read.
        found: u64,
    },
    /// A file without a single sample.
    #[error("{name} has no samples; leave it out or record it again")]
    NoSamples {
        /// Which file.
        name: String,
    },
    /// A file whose samples are stored in a way that is not read: a WAV file of other than integers
    /// of 8 to 32 bits and 32-bit floating point, or a FLAC file with what hardly any encoder writes.
    #[error("{name} has samples in a form that is not supported ({form}); convert it to 16-bit PCM")]
    Unsupported {
        /// Which file.
        name: String,
        /// What is special about it.
        form: String,
    },
    /// A sample is NaN or infinite.
    #[error("sample {index} of {name} is {value}; a sample must be a finite number")]
    NotFinite {
        /// Which file or signal.
        name: String,
        /// Which sample of its channel, from 0 on.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// A channel that a file has not.
    #[error("{name} has {channels} channels, counted from 0; there is no channel {channel}")]
    Channel {
        /// Which file.
        name: String,
        /// Which channel was asked for.
        channel: u16,
        /// How many there are.
        channels: u16,
    },
    /// A signal has another rate than its features are made for.
    #[error("the signal has {found} samples a second, the features are for {expected}; resample it first")]
    Rate {
        /// The signal's rate in Hz.
        found: u32,
        /// The configuration's rate in Hz.
        expected: u32,
    },
    /// A setting is outside its range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// The field of the configuration, or the argument.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be.
        range: String,
    },
    /// Features of one width meet features, or moments, of another.
    #[error("frames have {found} values where {expected} are expected; use features of one configuration")]
    Dimension {
        /// Values of a frame.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// There is nothing to average over.
    #[error("there are no frames to take a mean of; leave out signals shorter than a frame")]
    NoFrames,
    /// A cepstrum cannot be drawn as a spectrogram.
    #[error(
        "these features are a cepstrum and have no frequencies to draw; configure them without `cepstrum`"
    )]
    NoSpectrum,
    /// A picture would have no pixel or too many.
    #[error("{width} × {height} pixels make no picture of 1 to 16384 a side; draw a part of the signal")]
    Size {
        /// Pixels from left to right.
        width: usize,
        /// Pixels from top to bottom.
        height: usize,
    },
    /// Samples or pixels could not be written in their format.
    #[error("cannot encode the {what}: {reason}")]
    Encoding {
        /// Sound or picture.
        what: &'static str,
        /// What the encoder says.
        reason: String,
    },
}

impl Error {
    pub(crate) fn setting(name: &'static str, value: impl Into<f64>, range: impl Into<String>) -> Self {
        Self::Setting { name, value: value.into(), range: range.into() }
    }
}
