//! Speech: from sound waves to phonemes, and from these to words.

use ::speech::corpus::{self, Source};
use ::speech::posteriors::{PosteriorPicture, Posteriors};
use ::speech::{Recognizer, SearchArgs, Transcript, Utterance};
use ::speech::{RunConfig, train_on_utterances};
use anyhow::{Context, Result};
use audio_features::Audio;
use datasets::embedded::speech::Part;
use rnn_metrics::{ErrorRate, Metric};
use rnn_train::files::write_atomically;
use rnn_train::{ProgressStyle, RunFolder};
use std::io::Write;
use std::path::Path;

use crate::{Options, Page, examples, passes, tell_outcome};

/// Trains on the built-in digits, measures the word error rate on voices that it has not heard, shows right and
/// wrong strings with their sounds, and draws the phonemes that it heard over the spectrogram.
///
/// # Errors
/// When the page or the run folder cannot be written, or the training fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<f64> {
    let read = |part| corpus::read(&Source::Embedded(part), &Default::default());
    let (mut train, mut validation) = (read(Part::Train)?, read(Part::Validation)?);
    let mut test: Vec<Utterance> = read(Part::Test)?;
    let mut config = RunConfig::embedded();
    // Whose words have pronunciations.
    config.data.train = Some(Source::Embedded(Part::Train));
    config.training.epochs = 5.0;
    config.training.seed = options.seed;
    config.training.keep_last = 1;
    if options.fast {
        train.truncate(400);
        validation.truncate(20);
        test.truncate(20);
        config.training.epochs = 2.0;
    }
    let passes = passes(config.training.epochs, page);
    page.paragraph(
        "speech-hears",
        &[("bands", &config.frontend.bands), ("strings", &train.len()), ("passes", &passes)],
    )?;
    let run = RunFolder::create(options.folder.join("speech"), true)?;
    let stop = app_kit::interrupt::flag();
    let trained =
        train_on_utterances((train, validation), &config, &run, &options.device, stop, ProgressStyle::Auto)?;
    tell_outcome(&trained.report, page)?;
    let search = SearchArgs::default().search(&trained.model)?;
    let recognizer = Recognizer::new(trained.model, search);

    let recordings = test.iter().map(|utterance| utterance.sound.read()).collect::<Result<Vec<Audio>>>()?;
    let heard: Vec<Transcript> = recognizer.transcribe(&recordings.iter().collect::<Vec<_>>())?;
    let texts: Vec<&str> = heard.iter().map(|transcript| transcript.text.as_str()).collect();
    let said: Vec<&str> = test.iter().map(|utterance| utterance.text.as_str()).collect();
    let rate = 100.0 * ErrorRate::words().corpus(&texts, &[&said])?.rate();
    let (right, wrong): (Vec<usize>, Vec<usize>) =
        (0..test.len()).partition(|&number| texts[number] == said[number]);
    page.paragraph(
        "speech-rate",
        &[("strings", &test.len()), ("right", &right.len()), ("rate", &format!("{rate:.1}"))],
    )?;
    examples(page, &right, &wrong, |number, name, page| {
        page.entry("speech-said", said[number])?;
        page.entry("speech-heard", texts[number])?;
        let sound = options.folder.join(format!("digits-{name}.wav"));
        write_sound(&sound, &recordings[number])?;
        page.recording(
            &sound,
            "speech-example-recording",
            &[("said", &said[number]), ("heard", &texts[number])],
        )?;
        Ok(())
    })?;

    // One of several words, so that there is something to see.
    let several = |number: &&usize| said[**number].split(' ').count() == 3;
    let drawn = right.iter().find(several).or(right.first()).or(wrong.first());
    let drawn = *drawn.context("there is no recording to recognise")?;
    let (audio, transcript) = (&recordings[drawn], &heard[drawn]);
    let emissions = recognizer.emissions(&[audio])?.pop().context("a recording has emissions")?;
    let posteriors = Posteriors {
        log_probs: &emissions.log_probs,
        symbols: recognizer.model().alphabet().symbols(),
        frame: emissions.clock.frame,
    };
    let svg = PosteriorPicture::default().svg(audio, transcript, &posteriors)?;
    let (drawing, sound) = (options.folder.join("phonemes.svg"), options.folder.join("digits.wav"));
    write_atomically(&drawing, |file| Ok(file.write_all(svg.as_bytes())?))?;
    write_sound(&sound, audio)?;
    page.paragraph("speech-sound", &[("said", &said[drawn])])?;
    page.recording(&sound, "speech-recording", &[("said", &said[drawn])])?;
    page.drawing(&drawing, "speech-drawing", &[("said", &said[drawn])])?;
    Ok(rate)
}

fn write_sound(path: &Path, audio: &Audio) -> Result<()> {
    let wav = audio.to_wav()?;
    write_atomically(path, |file| Ok(file.write_all(&wav)?))
}
