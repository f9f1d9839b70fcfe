//! Small recordings and manifests, changed at random: whatever comes of it is read or refused with a
//! reason, and nothing panics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use audio_features::{Audio, Channels};
use end_to_end::fuzz::fuzz;
use hound::{SampleFormat, WavSpec, WavWriter};
use speech::corpus::{Layout, Selection, Source, Utterance, fingerprint, read};
use speech::{CheckConfig, Sound, check};

fn wav(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> Vec<u8> {
    let spec = WavSpec { channels, sample_rate: 8000, bits_per_sample, sample_format };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
    for n in 0..24i16 {
        match sample_format {
            SampleFormat::Int => writer.write_sample((n * 10 - 120) as i8).unwrap(),
            SampleFormat::Float => writer.write_sample(f32::from(n) / 24.0).unwrap(),
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn changed_recordings_are_read_or_refused() {
    let of_bits = |bits: u16| [1, 2, 3].map(|channels| wav(channels, bits, SampleFormat::Int));
    let mut inputs: Vec<_> = [8, 16, 24, 32].into_iter().flat_map(of_bits).collect();
    inputs.push(wav(2, 32, SampleFormat::Float));
    let plain = wav(1, 16, SampleFormat::Int);
    inputs.push([&plain[..36], b"LIST\x03\0\0\0abc\0", &plain[36..]].concat());
    let pieces = [
        b"RIFF".as_slice(),
        b"WAVE",
        b"fmt ",
        b"data",
        b"fact\x04\0\0\0\0\0\0\0",
        b"LIST\x03\0\0\0",
        b"fLaC",
    ];
    fuzz(&inputs, &pieces, |bytes| match Audio::from_bytes(bytes, "a.wav", Channels::Mean) {
        Ok(audio) => {
            assert!(!audio.samples.is_empty() && audio.samples.len() <= bytes.len() && audio.rate > 0);
            assert!(audio.samples.iter().all(|sample| sample.is_finite()));
            let utterance = Utterance {
                name: "a.wav".into(),
                text: "a".into(),
                fields: BTreeMap::new(),
                sound: Sound::Memory(audio.into()),
            };
            let report = check(&[utterance], &CheckConfig::default());
            assert!(report.recordings[0].measures.is_some());
            assert!(serde_json::to_value(&report).unwrap()["recordings"][0]["peak"].is_number());
        }
        Err(error) => assert!(error.to_string().contains("a.wav"), "{error}"),
    });
}

/// What is read is whole and the same a second time; what is refused is so by name.
fn is_read_or_refused(source: &Source, file: &str) {
    match read(source, &Layout::default()) {
        Ok(utterances) => {
            let names: BTreeSet<_> = utterances.iter().map(|utterance| &utterance.name).collect();
            assert!(!names.is_empty() && names.len() == utterances.len());
            for utterance in &utterances {
                assert!(matches!(&utterance.sound, Sound::File(path) if path.is_file()));
                assert_eq!(utterance.text, utterance.text.trim());
            }
            let again = read(source, &Layout::default()).unwrap();
            assert_eq!(fingerprint(&utterances), fingerprint(&again));
        }
        Err(error) => {
            let message = format!("{error:#}");
            assert!(message.contains(file) || message.contains("there is not one recording"), "{message}");
            assert!(message.len() < 4000, "{message}");
        }
    }
}

fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        fs::write(path, wav(1, 16, SampleFormat::Int)).unwrap();
    }
    folder
}

fn fuzz_manifest(name: &str) {
    let folder = folder(&["a.wav", "b.wav", "c/d.wav"]);
    let inputs = [
        b"path\ttext\tspeaker\na.wav\tone\ttheo\nb.wav\ttwo\tlucas\nc/d.wav\tthree \"x\ttheo\n".to_vec(),
        b"\xef\xbb\xbfpath,text,speaker\r\na.wav,\"one, \"\"two\"\"\",theo\r\n\r\nb.wav,,\r\n".to_vec(),
        b"{\"path\":\"a.wav\",\"text\":\"one\",\"n\":1.5}\n{\"path\":\"b.wav\",\"text\":\"two\"}\n".to_vec(),
        "path\ttext\na.wav\tनमस्कार été\n".as_bytes().to_vec(),
    ];
    let of_tables =
        [b"path".as_slice(), b"text", b"a.wav", b"c/d.wav", b"./a.wav", b"\n", b"\r", b"\t", b","];
    let of_objects = [b"\"".as_slice(), b"[[[[{\"a\":", b"\\u0000", b"\\ud800", b"1e999", b"null", b"{}"];
    let of_neither = [b"\xff".as_slice(), b"\xe2\x80\xa8", b"\0", b"\xef\xbb\xbf"];
    let pieces = [&of_tables[..], &of_objects, &of_neither].concat();
    let path = folder.path().join(name);
    fuzz(&inputs, &pieces, |bytes| {
        fs::write(&path, bytes).unwrap();
        is_read_or_refused(&Source::Manifest(path.clone()), name);
    });
}

#[test]
fn changed_tables_with_tabs_are_read_or_refused() {
    fuzz_manifest("m.tsv");
}

#[test]
fn changed_tables_with_commas_are_read_or_refused() {
    fuzz_manifest("m.csv");
}

#[test]
fn changed_objects_are_read_or_refused() {
    fuzz_manifest("m.jsonl");
}

#[test]
fn changed_transcripts_and_lists_are_read_or_refused() {
    let folder = folder(&["1/2/1-2-3.wav", "1/2/1-2-4.wav"]);
    let inputs = [b"1-2-3 ONE TWO\n1-2-4 THREE\n".to_vec(), b"1/2/1-2-3.wav\r\n./1/2/1-2-4.wav\n".to_vec()];
    let pieces = [b"1-2-3".as_slice(), b"1-2-4", b"-", b" ", b"\n", b"../", b"\xff", b"\xe2\x80\xa8", b"\0"];
    let source = Source::Folder(folder.path().into());
    let path = folder.path().join("1/2/1-2.trans.txt");
    let names = Layout { names: Some("{a}-{b}-{c}".parse().unwrap()), ..Layout::default() };
    let all = read(&source, &names).unwrap();
    let list: Selection = format!("list={}", path.display()).parse().unwrap();
    fuzz(&inputs, &pieces, |bytes| {
        fs::write(&path, bytes).unwrap();
        is_read_or_refused(&source, "1-2.trans.txt");
        match list.partition(all.clone()) {
            Ok((listed, others)) => assert!(!listed.is_empty() && listed.len() + others.len() == 2),
            Err(error) => assert!(format!("{error:#}").contains("1-2.trans.txt")),
        }
    });
}
