//! WAV files of every form, whole and broken.

use std::io::Cursor;

use audio_features::{Audio, Channels, Error};
use hound::{SampleFormat, WavSpec, WavWriter};
use proptest::prelude::*;

fn spec(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate: 11_025, bits_per_sample, sample_format }
}

fn wav<S: hound::Sample + Copy>(spec: WavSpec, samples: &[S]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for &sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn mono(bytes: &[u8]) -> Result<Audio, Error> {
    Audio::from_bytes(bytes, "a.wav", Channels::Mean)
}

fn message(result: Result<Audio, Error>) -> String {
    result.unwrap_err().to_string()
}

/// A header by hand, for forms that the writer does not write.
fn header(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * bits.div_ceil(8);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0");
    bytes.extend([format, channels].map(u16::to_le_bytes).concat());
    bytes.extend([rate, rate.wrapping_mul(block.into())].map(u32::to_le_bytes).concat());
    bytes.extend([block, bits].map(u16::to_le_bytes).concat());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn integers_of_every_width_are_read_from_minus_one_to_one() {
    for bits in [8, 16, 24, 32] {
        let full = 1i64 << (bits - 1);
        let samples = [-full, -full / 2, 0, full / 4, full - 1].map(|sample| sample as i32);
        let audio = mono(&wav(spec(1, bits, SampleFormat::Int), &samples)).unwrap();
        assert_eq!(audio.rate, 11_025);
        assert_eq!(audio.samples[..4], [-1.0, -0.5, 0.0, 0.25], "{bits} bits");
        assert!((audio.samples[4] - (1.0 - 1.0 / full as f32)).abs() < 1e-7, "{bits} bits");
    }
}

#[test]
fn floating_point_is_taken_as_it_stands() {
    let samples = [-1.0f32, 0.1, 1.5];
    assert_eq!(mono(&wav(spec(1, 32, SampleFormat::Float), &samples)).unwrap().samples, samples);
}

#[test]
fn plain_headers_are_read_as_extensible_ones_are() {
    let data: Vec<u8> = [-32_768i16, 0, 16_384].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(mono(&header(1, 1, 8000, 16, &data)).unwrap().samples, [-1.0, 0.0, 0.5]);
    let data: Vec<u8> = [0.25f32, -0.5].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    assert_eq!(mono(&header(3, 1, 8000, 32, &data)).unwrap().samples, [0.25, -0.5]);
    // more than 16 bits or two channels: the writer's header is extensible
    let extensible = wav(spec(3, 24, SampleFormat::Int), &[1 << 22; 3]);
    assert_eq!(extensible[20..22], 0xfffeu16.to_le_bytes());
    assert_eq!(mono(&extensible).unwrap().samples, [0.5]);
}

#[test]
fn of_many_channels_the_mean_or_one_is_heard() {
    let bytes = wav(spec(2, 16, SampleFormat::Int), &[16_384i16, 0, -16_384, 8192]);
    let heard = |channels| Audio::from_bytes(&bytes, "a.wav", channels).map(|audio| audio.samples);
    assert_eq!(heard(Channels::Mean).unwrap(), [0.25, -0.125]);
    assert_eq!(heard(Channels::Only(0)).unwrap(), [0.5, -0.5]);
    assert_eq!(heard(Channels::Only(1)).unwrap(), [0.0, 0.25]);
    let error = heard(Channels::Only(2)).unwrap_err().to_string();
    assert_eq!(error, "a.wav has 2 channels, counted from 0; there is no channel 2");
}

#[test]
fn what_is_written_is_read_back_and_loud_samples_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    let audio = Audio { samples: vec![-1.0, 1.0, 3.0, -3.0, 0.25, 1e-5], rate: 22_050 };
    audio.write(&path).unwrap();
    let read = Audio::read(&path, Channels::Mean).unwrap();
    let loudest = 32_767.0 / 32_768.0;
    assert_eq!(read, Audio { samples: vec![-1.0, loudest, loudest, -1.0, 0.25, 0.0], rate: 22_050 });
    // a second time nothing changes, and no temporary file is left
    read.write(&path).unwrap();
    assert_eq!(Audio::read(&path, Channels::Only(0)).unwrap(), read);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(Audio::from_reader(bytes.as_slice(), "standard input", Channels::Mean).unwrap(), read);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let audio = Audio { samples: vec![0.0], rate: 8000 };
    let missing = folder.path().join("missing").join("a.wav");
    assert!(matches!(audio.write(&missing), Err(Error::Write { .. })));
    let nan = Audio { samples: vec![0.0, f32::NAN], rate: 8000 };
    assert!(matches!(nan.to_wav(), Err(Error::NotFinite { index: 1, .. })));
    assert!(matches!(Audio { rate: 0, ..audio }.to_wav(), Err(Error::Setting { .. })));
}

#[test]
fn a_file_that_is_cut_off_says_where() {
    let bytes = wav(spec(1, 16, SampleFormat::Int), &[7i16; 100]);
    assert_eq!(
        message(mono(&bytes[..bytes.len() - 31])),
        "a.wav is cut off: its header announces 100 samples and 84 are there; get the file again"
    );
    assert_eq!(
        message(mono(&bytes[..30])),
        "a.wav is damaged (it ends inside the header); get the file again"
    );
}

#[test]
fn files_that_are_empty_or_not_there_are_named() {
    let none = wav::<i16>(spec(1, 16, SampleFormat::Int), &[]);
    assert_eq!(message(mono(&none)), "a.wav has no samples; leave it out or record it again");
    let path = std::path::Path::new("no/such/file.wav");
    let error = Audio::read(path, Channels::Mean).unwrap_err();
    assert!(matches!(error, Error::Read { .. }) && error.to_string().contains("no/such/file.wav"));
}

#[test]
fn compressed_and_wide_samples_are_not_supported() {
    // µ-law, and floating point of 64 bits
    for bytes in [header(7, 1, 8000, 8, &[0; 8]), header(3, 1, 8000, 64, &[0; 16])] {
        let error = message(mono(&bytes));
        assert!(error.starts_with("a.wav has samples in a form that is not supported ("), "{error}");
    }
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    for bytes in
        [header(1, 0, 8000, 16, &[0; 8]), header(1, 1, 0, 16, &[0; 8]), header(1, 1, 8000, 0, &[0; 8])]
    {
        assert!(mono(&bytes).is_err());
    }
}

#[test]
fn a_sample_that_is_not_finite_is_named() {
    let bytes = wav(spec(2, 32, SampleFormat::Float), &[0.0f32, 0.0, 0.5, f32::NAN]);
    assert_eq!(message(mono(&bytes)), "sample 1 of a.wav is NaN; a sample must be a finite number");
    let left = Audio::from_bytes(&bytes, "a.wav", Channels::Only(0)).unwrap();
    assert_eq!(left.samples, [0.0, 0.5]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn no_bytes_make_the_reader_panic(
        bits in prop::sample::select(&[8u16, 16, 24, 32]),
        changes in prop::collection::vec((0usize..70, any::<u8>()), 0..8),
        length in 0usize..200,
    ) {
        let mut bytes = wav(spec(2, bits, SampleFormat::Int), &[1; 40]);
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(length.max(1));
        if let Ok(audio) = mono(&bytes) {
            prop_assert!(!audio.samples.is_empty() && audio.rate > 0);
        }
    }
}

#[test]
fn what_was_written_into_a_pipe_is_read_to_its_end() {
    let data: Vec<u8> =
        [-32_768i16, 0, 16_384, 8192].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    // ffmpeg; sox; sox with six bytes a moment
    for length in [0xffff_ffffu32, 0x7fff_f000, 0x7fff_effc] {
        for (channels, samples) in [(1, vec![-1.0, 0.0, 0.5, 0.25]), (2, vec![-0.5, 0.375])] {
            let mut bytes = header(1, channels, 8000, 16, &data);
            bytes[40..44].copy_from_slice(&length.to_le_bytes());
            assert_eq!(mono(&bytes).unwrap().samples, samples);
            // the program was stopped within a sample
            bytes.push(7);
            assert_eq!(mono(&bytes).unwrap().samples, samples);
        }
    }
    let mut none = header(1, 1, 8000, 16, &[]);
    none[40..44].copy_from_slice(&[0xff; 4]);
    assert!(matches!(mono(&none), Err(Error::NoSamples { .. })));
}

#[test]
fn a_length_that_is_wrong_but_known_is_not_made_up_for() {
    let data = [0u8; 100];
    let mut bytes = header(1, 1, 8000, 16, &data);
    bytes[40..44].copy_from_slice(&2_000_000_000u32.to_le_bytes());
    assert!(matches!(mono(&bytes), Err(Error::Truncated { announced: 1_000_000_000, found: 50, .. })));
    // what follows the sound is not heard
    bytes[40..44].copy_from_slice(&20u32.to_le_bytes());
    assert_eq!(mono(&bytes).unwrap().samples.len(), 10);
}

#[test]
fn chunks_of_odd_length_before_the_sound_are_passed_over() {
    let plain = header(1, 1, 8000, 16, &[0, 64, 0, 192]);
    for (chunk, length) in [(b"LIST\x03\0\0\0abc\0".as_slice(), 4u32), (b"LIST\x03\0\0\0abc\0", u32::MAX)] {
        let mut bytes = [&plain[..36], chunk, &plain[36..]].concat();
        let at = bytes.len() - 8;
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(mono(&bytes).unwrap().samples, [0.5, -0.5]);
    }
    // programs that do not know of the empty byte either
    let bytes = [&plain[..36], b"LIST\x03\0\0\0abc", &plain[36..]].concat();
    assert_eq!(mono(&bytes).unwrap().samples, [0.5, -0.5]);
}
