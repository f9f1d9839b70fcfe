//! Recordings as they lie about on disks: of every form, cut off, mislabelled, of unknown length.

use std::fs;

use hound::{SampleFormat, WavSpec, WavWriter};
use speech::check::{Measures, Problem};
use speech::corpus::{Layout, Selection, Source, read};
use speech::{CheckConfig, Report, check};

/// The place of the length of the sound in a plain header.
const LENGTH: std::ops::Range<usize> = 40..44;

fn wav(channels: u16, bits_per_sample: u16, sample_rate: u32, samples: &[i32]) -> Vec<u8> {
    let spec = WavSpec { channels, sample_rate, bits_per_sample, sample_format: SampleFormat::Int };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

/// A tenth of a second at 8 kHz.
fn plain() -> Vec<u8> {
    wav(1, 16, 8000, &(0..800).map(|n| (n % 40) * 500 - 9750).collect::<Vec<_>>())
}

/// The recording `said/odd.wav` of these bytes, checked beside a plain one.
fn of(bytes: &[u8]) -> Result<Measures, String> {
    let folder = tempfile::tempdir().unwrap();
    let label = folder.path().join("said");
    fs::create_dir(&label).unwrap();
    fs::write(label.join("even.wav"), plain()).unwrap();
    fs::write(label.join("odd.wav"), bytes).unwrap();
    let utterances = read(&Source::Folder(folder.path().into()), &Layout::default()).unwrap();
    let Report { recordings, .. } = check(&utterances, &CheckConfig { fastest: 1e9, ..Default::default() });
    let [even, odd] = &recordings[..] else { panic!("{recordings:?}") };
    assert_eq!((even.measures.is_some(), &even.problems[..]), (true, &[][..]));
    assert_eq!(odd.name, "said/odd.wav");
    match (&odd.measures, &odd.problems[..]) {
        (Some(measures), _) => Ok(measures.clone()),
        (None, [Problem::Unreadable { error }]) => {
            assert!(error.contains("odd.wav"), "{error}");
            Err(error.clone())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn three_bytes_a_sample_two_channels_and_another_rate_are_read() {
    let samples: Vec<i32> = (0..4410).flat_map(|n| [(n % 100) << 15, 0]).collect();
    let measures = of(&wav(2, 24, 44_100, &samples)).unwrap();
    assert_eq!((measures.rate, measures.duration), (44_100, 0.1));
    assert!((measures.peak - f64::from(99 << 15) / f64::from(1 << 24)).abs() < 1e-6);
}

#[test]
fn a_recording_that_was_cut_off_is_told_with_both_numbers() {
    let bytes = plain();
    let error = of(&bytes[..bytes.len() - 601]).unwrap_err();
    assert!(error.contains("announces 800 samples and 499 are there"), "{error}");
    assert!(of(&bytes[..20]).unwrap_err().contains("ends inside the header"));
    assert!(of(b"").unwrap_err().contains("no samples"));
}

#[test]
fn a_header_that_lies_about_its_length_is_not_believed() {
    let mut bytes = plain();
    bytes[LENGTH].copy_from_slice(&1_000_000_000u32.to_le_bytes());
    assert!(of(&bytes).unwrap_err().contains("announces 500000000 samples and 800 are there"));
    bytes[LENGTH].copy_from_slice(&1601u32.to_le_bytes());
    assert!(of(&bytes).is_err());
    bytes[LENGTH].copy_from_slice(&800u32.to_le_bytes());
    assert_eq!(of(&bytes).unwrap().duration, 0.05);
}

#[test]
fn a_recording_of_unknown_length_is_read_to_its_end() {
    for unknown in [u32::MAX, 0x7fff_f000] {
        let mut bytes = plain();
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[LENGTH].copy_from_slice(&unknown.to_le_bytes());
        assert_eq!(of(&bytes).unwrap().duration, 0.1);
    }
}

#[test]
fn a_recording_without_samples_is_told() {
    assert!(of(&wav(1, 16, 8000, &[])).unwrap_err().contains("no samples"));
}

#[test]
fn another_format_under_the_name_of_a_recording_is_told() {
    // the beginning of an MP3, with and without a tag
    for music in
        [b"ID3\x04\0\0\0\0\0\x23TSSE\0\0\0\x0f".as_slice(), b"\xff\xfb\x90\x64\0\x0f\xf0\0\0\x69\0\0"]
    {
        assert!(of(&[music, &[0; 400]].concat()).unwrap_err().contains("MP3"));
    }
}

#[test]
fn rates_that_differ_and_copies_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    write("a_0.wav", plain());
    write("a_1.wav", plain());
    write("a_2.wav", wav(1, 16, 16_000, &[9, -9, 900, -900]));
    let utterances = read(&Source::Folder(folder.path().into()), &Layout::default()).unwrap();
    let report = check(&utterances, &CheckConfig { fastest: 1e9, ..Default::default() });
    let problems: Vec<_> = report.recordings.iter().map(|recording| recording.problems.clone()).collect();
    let copy = Problem::Duplicate { of: "a_0.wav".into() };
    let rate = Problem::Rate { rate: 16_000, usual: 8000 };
    assert_eq!(problems, [vec![], vec![copy], vec![rate]]);
}

/// As Speech Commands is laid out: a folder for each word, noise, and official lists of the parts.
#[test]
fn the_official_parts_of_a_set_of_commands_are_told_apart_by_their_lists() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    for label in ["yes", "no", "_background_noise_"] {
        fs::create_dir(folder.path().join(label)).unwrap();
    }
    for name in ["yes/a_nohash_0", "yes/b_nohash_0", "no/a_nohash_0", "_background_noise_/dishes"] {
        write(&format!("{name}.wav"), &plain());
    }
    write("validation_list.txt", b"yes/b_nohash_0.wav\n");
    write("testing_list.txt", b"no/a_nohash_0.wav\n");
    let layout = Layout { names: Some("{speaker}_nohash_{index}".parse().unwrap()), ..Layout::default() };
    let all = read(&Source::Folder(folder.path().into()), &layout).unwrap();
    let list =
        |name: &str| -> Selection { format!("list={}", folder.path().join(name).display()).parse().unwrap() };
    let (validation, rest) = list("validation_list.txt").partition(all).unwrap();
    let (test, train) = list("testing_list.txt").partition(rest).unwrap();
    let names = |part: Vec<speech::Utterance>| part.into_iter().map(|said| said.name).collect::<Vec<_>>();
    let expected = [["yes/a_nohash_0.wav"], ["yes/b_nohash_0.wav"], ["no/a_nohash_0.wav"]];
    assert_eq!([train, validation, test].map(names), expected);
}
