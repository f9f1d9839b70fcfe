//! WAV files: read in every common form, written as 16 bits, one channel.
//!
//! Plain and extensible headers; integers of 8 to 32 bits and 32-bit floating point. What a program writes
//! into a pipe without knowing how long it becomes (`ffmpeg`, `sox`) is read to its end.

use std::borrow::Cow;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::file::Decoded;
use crate::{Audio, Error};

impl Audio {
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

/// All samples in the bytes of a WAV file.
pub(crate) fn decode(bytes: &[u8], name: &str) -> Result<Decoded, Error> {
    let bytes = with_true_chunks(bytes);
    let mut reader = WavReader::new(Cursor::new(&*bytes)).map_err(|error| of_header(error, name))?;
    let WavSpec { channels, sample_rate: rate, bits_per_sample, sample_format } = reader.spec();
    let name = || name.to_owned();
    if channels == 0 || rate == 0 {
        let reason = format!("its header says {channels} channels at {rate} Hz");
        return Err(Error::Damaged { name: name(), reason });
    }
    let announced = u64::from(reader.len());
    let unsupported = || Error::Unsupported { name: name(), form: format!("{bits_per_sample} bits") };
    if !(8..=32).contains(&bits_per_sample) {
        return Err(unsupported());
    }
    // a header may announce more than there is
    let mut interleaved = Vec::with_capacity((announced as usize).min(bytes.len()));
    let read = match sample_format {
        SampleFormat::Float => gather(reader.samples::<f32>(), &mut interleaved, |sample| sample),
        SampleFormat::Int => {
            let unit = (1.0 - f32::from(bits_per_sample)).exp2();
            gather(reader.samples::<i32>(), &mut interleaved, |sample| sample as f32 * unit)
        }
    };
    match read {
        Ok(()) => Ok(Decoded { interleaved, channels, rate }),
        Err(hound::Error::IoError(_)) => {
            Err(Error::Truncated { name: name(), announced, found: interleaved.len() as u64 })
        }
        Err(_) => Err(unsupported()),
    }
}

/// The bytes of a WAV file as the reader can take them: it believes every length, and does not know that
/// a byte is left empty behind a chunk of odd length. Bytes in which nothing needs to change, or no sound
/// is found, come back as they are.
fn with_true_chunks(bytes: &[u8]) -> Cow<'_, [u8]> {
    repaired(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// `sox` writes 0x7ffff000 bytes, less what is no whole moment of all channels, where it does not know
/// the length; `ffmpeg` 0xffffffff.
const UNKNOWN_LENGTH: usize = 0x7fff_0000;

/// The file with its format and its sound alone, the length of the sound corrected if it is unknown;
/// nothing if that is not needed.
fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    const RIFF_HEADER: usize = 12;
    const CHUNK_HEADER: usize = 8;
    let mut format: &[u8] = &[];
    let mut is_padded = false;
    let mut at = RIFF_HEADER;
    loop {
        let (kind, length) = bytes.get(at..)?.get(..CHUNK_HEADER)?.split_at(4);
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let content = at + CHUNK_HEADER;
        if kind == b"data" {
            let sound = &bytes[content..];
            let is_unknown = length >= UNKNOWN_LENGTH && length > sound.len();
            if !is_padded && !is_unknown {
                return None;
            }
            // bytes of a moment of all channels: the `nBlockAlign` of the format
            let block = u16::from_le_bytes(format.get(CHUNK_HEADER + 12..)?.get(..2)?.try_into().ok()?);
            let whole = sound.len() - sound.len().checked_rem(block.into())?;
            let length = if is_unknown { whole } else { length } as u32;
            return Some([&bytes[..RIFF_HEADER], format, b"data", &length.to_le_bytes(), sound].concat());
        }
        if kind == b"fmt " {
            format = bytes.get(at..content.checked_add(length)?)?;
        }
        is_padded |= length % 2 == 1;
        at = content.checked_add(length)?.checked_add(length % 2)?;
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
        hound::Error::IoError(_) => Error::Damaged { name, reason: "it ends inside the header".into() },
        // What it says of floating point of 64 bits.
        hound::Error::FormatError(reason) if reason.starts_with("bits per sample") => {
            Error::Unsupported { name, form: reason.into() }
        }
        hound::Error::FormatError(reason) => Error::Damaged { name, reason: reason.into() },
        _ => Error::Unsupported { name, form: "compressed".into() },
    }
}
