//! FLAC files, of any number of channels and 8 to 24 bits.

use std::io::Cursor;

use claxon::FlacReader;
use claxon::metadata::StreamInfo;

use crate::Error;
use crate::file::Decoded;

/// All samples in the bytes of a FLAC file. The checksum of every frame must be right.
pub(crate) fn decode(bytes: &[u8], name: &str) -> Result<Decoded, Error> {
    let damaged = |reason: &str| Error::Damaged { name: name.into(), reason: reason.into() };
    let refused = |error, at_end| match error {
        claxon::Error::IoError(_) => at_end,
        claxon::Error::FormatError(reason) => damaged(reason),
        claxon::Error::Unsupported(form) => Error::Unsupported { name: name.into(), form: form.into() },
    };
    let mut reader = FlacReader::new(Cursor::new(bytes))
        .map_err(|error| refused(error, damaged("it ends inside the header")))?;
    let StreamInfo { sample_rate: rate, channels, bits_per_sample, samples, .. } = reader.streaminfo();
    // an encoder that writes while it hears does not know how many there will be
    let announced = samples.map(|samples| samples.saturating_mul(channels.into()));
    let unit = (1.0 - bits_per_sample as f32).exp2();

    // a header may announce more than there is
    let mut interleaved = Vec::with_capacity((announced.unwrap_or(0) as usize).min(bytes.len()));
    let mut frames = reader.blocks();
    let mut buffer = Vec::new();
    while announced.is_none_or(|announced| (interleaved.len() as u64) < announced) {
        let at_end = || match announced {
            Some(announced) => {
                Error::Truncated { name: name.into(), announced, found: interleaved.len() as u64 }
            }
            None => damaged("it ends inside a frame"),
        };
        let frame = match frames.read_next_or_eof(buffer) {
            Ok(Some(frame)) => frame,
            Ok(None) if announced.is_none() => break,
            Ok(None) => return Err(at_end()),
            Err(error) => return Err(refused(error, at_end())),
        };
        if frame.channels() != channels {
            return Err(damaged("its frames differ in channels from its header"));
        }
        for moment in 0..frame.duration() {
            let sample = |channel| frame.sample(channel, moment) as f32 * unit;
            interleaved.extend((0..channels).map(sample));
        }
        buffer = frame.into_buffer();
    }
    Ok(Decoded { interleaved, channels: channels as u16, rate })
}
