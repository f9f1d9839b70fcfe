//! FLAC files by the reference encoder (`fixtures/make_flac.py`), whole and broken, and files that
//! are neither WAV nor FLAC.

use audio_features::{Audio, Channels, Error};
use proptest::prelude::*;

/// Two frames of 5,000 samples in all.
const MONO: &[u8] = include_bytes!("fixtures/mono-16.flac");
/// One frame of 300 samples a channel.
const STEREO: &[u8] = include_bytes!("fixtures/stereo-24.flac");
/// Where the header ends: a mark of 4 bytes, then blocks with their lengths.
fn header(flac: &[u8]) -> usize {
    let mut at = 4;
    loop {
        let [kind, length @ ..] = [0, 1, 2, 3].map(|byte| flac[at + byte]);
        at += 4 + length.iter().fold(0, |sum, &byte| sum * 256 + usize::from(byte));
        if kind >= 0x80 {
            return at;
        }
    }
}

fn heard(bytes: &[u8], channels: Channels) -> Result<Audio, Error> {
    Audio::from_bytes(bytes, "a.flac", channels)
}

fn message(bytes: &[u8]) -> String {
    heard(bytes, Channels::Mean).unwrap_err().to_string()
}

/// Of 16 bits.
fn sample(index: i64, channel: i64) -> i64 {
    let i = index + 1000 * channel;
    (i * 97 % 4000 - 2000).abs() * 8 - 8000 + i * 7919 % 13
}

/// Of 24 bits.
fn fine_sample(index: i64, channel: i64) -> i64 {
    sample(index, channel) * 256 + 5
}

#[test]
fn sixteen_bits_are_read_from_minus_one_to_one() {
    let audio = heard(MONO, Channels::Mean).unwrap();
    let expected: Vec<_> = (0..5000).map(|i| sample(i, 0) as f32 / 32_768.0).collect();
    assert_eq!(audio, Audio { samples: expected, rate: 16_000 });
}

#[test]
fn of_two_channels_with_24_bits_the_mean_or_one_is_heard() {
    let expected = |value: fn(i64) -> i64| (0..300).map(|i| value(i) as f32 / 16_777_216.0).collect();
    type Signal = fn(i64) -> i64;
    let cases: [(_, Signal); 3] = [
        (Channels::Mean, |i| fine_sample(i, 0) + fine_sample(i, 1)),
        (Channels::Only(0), |i| 2 * fine_sample(i, 0)),
        (Channels::Only(1), |i| 2 * fine_sample(i, 1)),
    ];
    for (channels, value) in cases {
        let audio = Audio { samples: expected(value), rate: 44_100 };
        assert_eq!(heard(STEREO, channels).unwrap(), audio, "{channels:?}");
    }
    let error = heard(STEREO, Channels::Only(2)).unwrap_err().to_string();
    assert_eq!(error, "a.flac has 2 channels, counted from 0; there is no channel 2");
}

#[test]
fn a_file_is_known_by_its_content_and_not_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    std::fs::write(&path, MONO).unwrap();
    let audio = Audio::read(&path, Channels::Mean).unwrap();
    assert_eq!(audio, heard(MONO, Channels::Mean).unwrap());
    assert_eq!(Audio::from_reader(MONO, "standard input", Channels::Mean).unwrap(), audio);
    assert_eq!(heard(&audio.to_wav().unwrap(), Channels::Mean).unwrap(), audio);
}

#[test]
fn a_file_that_is_cut_off_says_where() {
    let cut = "a.flac is cut off: its header announces 5000 samples and";
    let inside_the_second_frame = format!("{cut} 4096 are there; get the file again");
    assert_eq!(message(&MONO[..MONO.len() - 1]), inside_the_second_frame);
    assert_eq!(message(&MONO[..header(MONO)]), format!("{cut} 0 are there; get the file again"));
    assert_eq!(message(&MONO[..30]), "a.flac is damaged (it ends inside the header); get the file again");
}

#[test]
fn a_frame_with_a_wrong_bit_is_damaged() {
    let mut bytes = MONO.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(message(&bytes), "a.flac is damaged (frame CRC mismatch); get the file again");
}

#[test]
fn without_a_number_of_samples_the_file_is_read_to_its_end() {
    let mut bytes = MONO.to_vec();
    // The last 36 bits before the checksum of 16 bytes: https://www.rfc-editor.org/rfc/rfc9639#section-8.2
    bytes[21] &= 0xf0;
    bytes[22..26].fill(0);
    assert_eq!(heard(&bytes, Channels::Mean).unwrap(), heard(MONO, Channels::Mean).unwrap());
    bytes.pop();
    assert_eq!(message(&bytes), "a.flac is damaged (it ends inside a frame); get the file again");
    bytes.truncate(header(MONO));
    assert_eq!(message(&bytes), "a.flac has no samples; leave it out or record it again");
}

#[test]
fn what_follows_the_last_frame_is_not_sound() {
    let tagged = [MONO, b"TAG a title"].concat();
    assert_eq!(heard(&tagged, Channels::Mean).unwrap(), heard(MONO, Channels::Mean).unwrap());
}

#[test]
fn other_formats_are_named_and_how_to_convert_them() {
    let cases: [(&[u8], _); 6] = [
        (b"ID3\x04 music", "an MP3 file"),
        (b"\xff\xfb\x90\x64", "an MP3 file"),
        (b"OggS\0\x02", "an Ogg file"),
        // the mark of a text in UTF-16
        (b"\xff\xfea\0", "neither a WAV nor a FLAC file"),
        (b"RIFF\0\0\0\0AVI LIST", "neither a WAV nor a FLAC file"),
        (b"f", "neither a WAV nor a FLAC file"),
    ];
    for (bytes, what) in cases {
        let advice = "only WAV and FLAC are read: convert it, for example `ffmpeg -i a.flac out.wav`";
        assert_eq!(message(bytes), format!("a.flac is {what}; {advice}"));
    }
    assert_eq!(message(b""), "a.flac has no samples; leave it out or record it again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn no_bytes_make_the_reader_panic(
        file in prop::sample::select(&[MONO, STEREO]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        in_header in prop::collection::vec((4usize..60, any::<u8>()), 0..3),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = file.to_vec();
        for (at, value) in changes {
            bytes[at.index(file.len())] = value;
        }
        for (at, value) in in_header {
            bytes[at] = value;
        }
        if is_cut {
            bytes.truncate(length.index(file.len()));
        }
        if let Ok(audio) = heard(&bytes, Channels::Mean) {
            prop_assert!(!audio.samples.is_empty() && audio.rate > 0);
        }
    }

    #[test]
    fn random_bytes_after_the_mark_make_no_sound_and_no_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        for mark in [&b""[..], b"fLaC", b"RIFF\0\0\0\0WAVE"] {
            prop_assert!(heard(&[mark, &tail].concat(), Channels::Mean).is_err());
        }
    }
}
