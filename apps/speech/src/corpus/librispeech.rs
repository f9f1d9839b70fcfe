//! LibriSpeech's files (Panayotov et al., LibriSpeech: an ASR corpus based on public domain audio
//! books, ICASSP 2015): beside the recordings of a chapter `103-1240.trans.txt`, in which each line is
//! `103-1240-0000` and what is said in `103-1240-0000.flac`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::folder::File;
use super::names::stem;
use super::{Sound, Utterance};

/// Whether a file holds transcripts.
pub(super) fn is_transcript(name: &str) -> bool {
    name.ends_with(".trans.txt")
}

/// The utterances of all `transcripts`, sorted by name, with the fields `speaker` and `chapter`.
/// Recordings that no transcript names are left out, with a warning.
///
/// # Errors
/// By file and line: what is not UTF-8, no transcript, of no recording, or there twice.
pub(super) fn utterances(transcripts: &[File], sounds: Vec<File>) -> Result<Vec<Utterance>> {
    // of a `.flac` and a `.wav` the first
    let mut recordings = BTreeMap::new();
    for sound in sounds {
        recordings.entry(stem(&sound.name).to_owned()).or_insert(sound);
    }
    let mut utterances = Vec::new();
    let mut named = BTreeSet::new();
    for file in transcripts {
        let shown = file.path.display();
        let bytes = fs::read(&file.path).with_context(|| format!("cannot read {shown}"))?;
        let text = app_kit::text::utf8(bytes, &file.path)?;
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let (id, text) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
            let [speaker, chapter, utterance] = id.split('-').collect::<Vec<_>>()[..] else {
                bail!("line {number} of {shown} does not begin with SPEAKER-CHAPTER-UTTERANCE");
            };
            let is_whole = [speaker, chapter, utterance].iter().all(|part| !part.is_empty());
            ensure!(is_whole, "line {number} of {shown} does not begin with SPEAKER-CHAPTER-UTTERANCE");
            let beside = match file.name.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{id}"),
                None => id.to_owned(),
            };
            let Some(recording) = recordings.get(&beside) else {
                bail!("line {number} of {shown}: there is no {id:.100}.flac and no {id:.100}.wav beside it");
            };
            ensure!(named.insert(beside), "line {number} of {shown}: {id} has a transcript already");
            let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            utterances.push(Utterance {
                name: recording.name.clone(),
                text: text.trim().to_owned(),
                fields: BTreeMap::from([field("speaker", speaker), field("chapter", chapter)]),
                sound: Sound::File(recording.path.clone()),
            });
        }
    }
    let unnamed = recordings.iter().filter(|(stem, _)| !named.contains(*stem)).map(|(_, file)| file);
    let unnamed: Vec<_> = unnamed.collect();
    if let Some(first) = unnamed.first() {
        tracing::warn!(
            "{} recordings without a transcript are left out, the first is {}",
            unnamed.len(),
            first.path.display()
        );
    }
    utterances.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(utterances)
}

#[cfg(test)]
mod tests {
    use super::super::{Layout, Source, read};
    use super::*;

    /// What is read from a folder of these recordings and one transcript.
    fn from(sounds: &[&str], transcript: &[u8]) -> Result<Vec<Utterance>> {
        let folder = tempfile::tempdir()?;
        let chapter = folder.path().join("103").join("1240");
        fs::create_dir_all(&chapter)?;
        sounds.iter().try_for_each(|name| fs::write(chapter.join(name), b""))?;
        fs::write(chapter.join("103-1240.trans.txt"), transcript)?;
        read(&Source::Folder(folder.path().into()), &Layout::default())
    }

    #[test]
    fn each_line_is_what_is_said_in_the_recording_beside_it() -> Result<()> {
        let sounds = ["103-1240-0001.wav", "103-1240-0000.flac", "103-1240-0000.wav", "103-1240-0002.wav"];
        let utterances = from(&sounds, b"103-1240-0001 TWO  WORDS \r\n\n103-1240-0000 ONE\n")?;
        let [one, two] = &utterances[..] else { panic!("{utterances:?}") };
        assert_eq!((one.name.as_str(), one.text.as_str()), ("103/1240/103-1240-0000.flac", "ONE"));
        assert_eq!((two.name.as_str(), two.text.as_str()), ("103/1240/103-1240-0001.wav", "TWO  WORDS"));
        assert_eq!((&*one.fields["speaker"], &*one.fields["chapter"]), ("103", "1240"));
        assert!(matches!(&one.sound, Sound::File(path) if path.ends_with(&one.name)));
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_told_by_file_and_line() {
        for (transcript, wrong) in [
            (b"1-2-3 A\n1-2-4 B\n".as_slice(), "line 2 of"),
            (b"1-2-4 B\n", "there is no 1-2-4.flac and no 1-2-4.wav"),
            (b"1-2-3 A\n1-2-3 B\n", "1-2-3 has a transcript already"),
            (b"1-2 A\n", "SPEAKER-CHAPTER-UTTERANCE"),
            (b"1-2- A\n", "SPEAKER-CHAPTER-UTTERANCE"),
            (b"1-2-3 A\n\xff\n", "line 2 of"),
            (b"\n", "there is not one recording"),
        ] {
            let message = format!("{:#}", from(&["1-2-3.wav"], transcript).unwrap_err());
            assert!(message.contains(wrong), "{message}");
        }
    }
}
