//! Translation: an encoder reads English, a decoder that attends writes Chinese.

use ::translation::corpus::{self, Languages, Part, Source};
use ::translation::{Pair, RunConfig, TranslateConfig, Translation, Translator, pictures, train_on_pairs};
use anyhow::{Context, Result};
use rnn_train::{ProgressStyle, RunFolder};

use crate::{Options, Page, examples, passes, tell_outcome};

/// Pairs that are translated in the end.
const MEASURED: usize = 200;

/// Trains on the built-in sentences, measures on combinations of words that it has not read, shows right and
/// wrong translations, and draws what one of them attended to.
///
/// # Errors
/// When the page or the run folder cannot be written, or the training fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<f64> {
    let read = |part| corpus::read(&Source::Embedded(part), &Languages::default());
    let (mut train, mut validation) = (read(Part::Train)?, read(Part::Validation)?);
    let mut config = RunConfig::embedded();
    config.training.epochs = 5.0;
    config.training.seed = options.seed;
    config.training.keep_last = 1;
    if options.fast {
        train.truncate(2000);
        validation.truncate(50);
        config.training.epochs = 2.0;
    }
    let passes = passes(config.training.epochs, page);
    page.paragraph("translation-attends", &[("sentences", &train.len()), ("passes", &passes)])?;
    let run = RunFolder::create(options.folder.join("translation"), true)?;
    let stop = app_kit::interrupt::flag();
    let trained =
        train_on_pairs((train, validation), &config, &run, &options.device, stop, ProgressStyle::Auto)?;
    tell_outcome(&trained.report, page)?;
    let translator = Translator::new(trained.model)?;

    let mut unseen: Vec<Pair> = read(Part::Unseen)?;
    unseen.truncate(if options.fast { 20 } else { MEASURED });
    let sentences: Vec<String> = unseen.iter().map(|pair| pair.source.clone()).collect();
    let translations = translator.translate(&sentences, &TranslateConfig::default())?;
    let translations: Vec<Translation> = translations.into_iter().collect::<Result<_>>()?;
    let is_right = |number: &usize| translations[*number].text() == unseen[*number].target;
    let (right, wrong): (Vec<usize>, Vec<usize>) = (0..unseen.len()).partition(is_right);
    let share = 100.0 * right.len() as f64 / unseen.len() as f64;
    page.paragraph(
        "translation-unseen",
        &[("sentences", &unseen.len()), ("right", &right.len()), ("share", &format!("{share:.0}"))],
    )?;
    examples(page, &right, &wrong, |number, _, page| {
        page.entry("translation-read", &unseen[number].source)?;
        page.entry("translation-written", translations[number].text())?;
        if !is_right(&number) {
            page.entry("translation-should-be", &unseen[number].target)?;
        }
        Ok(())
    })?;
    let drawn = *right.first().or(wrong.first()).context("there is no sentence to translate")?;
    let path = options.folder.join("translation-attention.svg");
    pictures::write(&path, &translations[drawn..=drawn], translator.vocabularies())?;
    page.paragraph("translation-looked", &[])?;
    page.drawing(&path, "translation-drawing", &[])?;
    Ok(share)
}
