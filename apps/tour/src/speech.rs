//! Speech: from sound waves to phonemes, and from these to words.

use ::speech::corpus::{self, Source};
use ::speech::posteriors::{PosteriorPicture, Posteriors};
use ::speech::train::{RunConfig, train_on_utterances};
use ::speech::{Recognizer, SearchArgs, Transcript, Utterance};
use anyhow::{Context, Result};
use audio_features::Audio;
use datasets::embedded::speech::Part;
use rnn_metrics::{ErrorRate, Metric};
use rnn_train::files::write_atomically;
use rnn_train::{ProgressStyle, RunFolder};
use std::io::Write;

use crate::{Options, Page, examples, passes, tell_outcome};

/// Trains on the built-in digits, measures the word error rate on voices that it has not heard, shows right and
/// wrong strings, and draws the phonemes that it heard over the spectrogram.
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
    page.paragraph(&format!(
        "A synthesiser of our own says strings of digits in many voices. Every 10 ms the network hears the strength \
         of the sound in {} bands and says which phoneme it is, or that nothing new has begun. It is told what was \
         said and never when: connectionist temporal classification sums over all the ways in which the phonemes \
         can lie in time. It learns from {} strings in {}; the guide's training is longer.",
        config.frontend.bands,
        train.len(),
        passes(config.training.epochs)
    ))?;
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
    page.paragraph(&format!(
        "Of {} strings in voices that it has not heard, it recognises {} without a mistake: a word error rate of \
         {rate:.1} %. It knows how the ten digits are pronounced and searches for words that are made of them.",
        test.len(),
        right.len(),
    ))?;
    examples(page, &right, &wrong, |number, page| {
        page.entry("said", said[number])?;
        page.entry("heard", texts[number])
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
    let wav = audio.to_wav()?;
    write_atomically(&sound, |file| Ok(file.write_all(&wav)?))?;
    page.paragraph(&format!(
        "The sound of \"{}\", its spectrogram, the words and phonemes with their times, and how probable the network \
         holds each phoneme in each frame:",
        said[drawn]
    ))?;
    page.recording(&sound, &format!("A synthetic voice says: {}", said[drawn]))?;
    page.drawing(&drawing, &format!("\"{}\", and what was heard in it", said[drawn]))?;
    Ok(rate)
}
