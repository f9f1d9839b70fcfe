//! TensorBoard event files.
//!
//! A file is a sequence of records in TensorFlow's TFRecord framing, each an `Event` message of
//! `tensorflow/core/util/event.proto`; the few fields used here are declared below.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use prost::Message;

use crate::metrics_log::Entry;

/// `tensorflow.Event`
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Updates done.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What the event says.
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

/// The `oneof what` of [`Event`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum What {
    /// First event of every file: `brain.Event:2`.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Named numbers.
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// Start of a process: TensorBoard drops earlier events of this and later steps.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `tensorflow.Summary`
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// The numbers.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `tensorflow.Summary.Value`
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Name of the curve; what stands before a `/` groups them.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The number.
    #[prost(float, tag = "2")]
    pub simple_value: f32,
}

/// `tensorflow.SessionLog`
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// 1: START.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// Writes one event file.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Makes a new file `events.out.tfevents.<seconds>.<number>` in `folder`, for a training that
    /// stands at `step`. TensorBoard joins it to the earlier files of a resumed run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(folder: &Path, step: usize) -> Result<Self> {
        let mut number = 0;
        let seconds = now() as u64;
        let (path, file) = loop {
            let path = folder.join(format!("events.out.tfevents.{seconds:010}.{number:03}"));
            match File::create_new(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                file => {
                    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
                    break (path, file);
                }
            }
        };
        let mut writer = Self { path, file };
        writer.record(0, What::FileVersion("brain.Event:2".to_owned()))?;
        if step > 0 {
            writer.record(step + 1, What::SessionLog(SessionLog { status: 1 }))?;
        }
        Ok(writer)
    }

    /// Adds the numbers of a log line as `train/…` or `validation/…`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, entry: &Entry) -> Result<()> {
        let value = |tag: String, value: f64| Value { tag, simple_value: value as f32 };
        let values = match entry {
            Entry::Train { loss, learning_rate, gradient_norm, .. } => vec![
                value("train/loss".into(), *loss),
                value("train/learning_rate".into(), *learning_rate),
                value("train/gradient_norm".into(), *gradient_norm),
            ],
            Entry::Validation { loss, metrics, .. } => {
                let metrics = metrics.iter().map(|(k, v)| value(format!("validation/{k}"), *v));
                std::iter::once(value("validation/loss".into(), *loss)).chain(metrics).collect()
            }
        };
        self.record(entry.step(), What::Summary(Summary { value: values }))
    }

    fn record(&mut self, step: usize, what: What) -> Result<()> {
        let event = Event { wall_time: now(), step: step as i64, what: Some(what) };
        let written = self.file.write_all(&frame(&event.encode_to_vec()));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// A TFRecord: length, masked CRC of the length, data, masked CRC of the data; little-endian.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), data, &masked_crc(data)].concat()
}

/// CRC-32C, rotated and shifted as TensorFlow does, so that a CRC of data that hold CRCs stays good.
fn masked_crc(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Reads the records back, by the format's description.
    fn parse(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (crc, rest) = rest.split_at(4);
            assert_eq!(crc, masked_crc(length));
            let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let (data, rest) = rest.split_at(length);
            let (crc, rest) = rest.split_at(4);
            assert_eq!(crc, masked_crc(data));
            events.push(Event::decode(data).unwrap());
            bytes = rest;
        }
        events
    }

    #[test]
    fn the_checksum_is_tensorflows() {
        // CRC-32C of 32 zero bytes is 0x8a9136aa (RFC 3720, B.4), masked by hand.
        assert_eq!(masked_crc(&[0; 32]), 0x0fd7_fffau32.to_le_bytes());
    }

    #[test]
    fn an_event_has_the_bytes_that_protobuf_prescribes() {
        let value = Value { tag: "a".into(), simple_value: 1.0 };
        let what = Some(What::Summary(Summary { value: vec![value] }));
        let bytes = Event { wall_time: 2.0, step: 3, what }.encode_to_vec();
        let expected = [
            &[0x09, 0, 0, 0, 0, 0, 0, 0, 0x40][..], // wall_time
            &[0x10, 3],                             // step
            &[0x2a, 10, 0x0a, 8],                   // summary { value {
            &[0x0a, 1, b'a'],                       // tag
            &[0x15, 0, 0, 0x80, 0x3f],              // simple_value
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn what_is_written_can_be_read_back_and_a_resumed_run_says_where_it_starts() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut writer = EventWriter::create(folder.path(), 0)?;
        let metrics = BTreeMap::from([("perplexity".to_owned(), 4.5)]);
        writer.write(&Entry::Validation { step: 20, loss: 1.5, metrics, seconds: 0.0 })?;
        let events = parse(&std::fs::read(&writer.path)?);
        assert_eq!(events[0].what, Some(What::FileVersion("brain.Event:2".into())));
        assert_eq!(events[1].step, 20);
        let Some(What::Summary(summary)) = &events[1].what else { panic!("{events:?}") };
        let read: Vec<_> = summary.value.iter().map(|v| (v.tag.as_str(), v.simple_value)).collect();
        assert_eq!(read, [("validation/loss", 1.5), ("validation/perplexity", 4.5)]);

        let resumed = EventWriter::create(folder.path(), 20)?;
        assert_ne!(resumed.path, writer.path);
        let events = parse(&std::fs::read(&resumed.path)?);
        assert_eq!(events[1].step, 21);
        assert_eq!(events[1].what, Some(What::SessionLog(SessionLog { status: 1 })));
        Ok(())
    }
}
