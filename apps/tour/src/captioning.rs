//! Captioning: a CNN splits a picture into regions, an RNN tells what is on it.

use ::captioning::captioner::SearchConfig;
use ::captioning::corpus::{self, Part, Reading, Source};
use ::captioning::evaluate::{self, Truth};
use ::captioning::{Caption, Captioned, Captioner, Image, RunConfig, pictures, train_on_pictures};
use anyhow::{Context, Result};
use datasets::embedded::captioning::{Language, Verdict};
use image_features::Picture;
use rnn_train::{ProgressStyle, RunFolder};

use crate::{Options, Page, examples, passes, tell_outcome};

/// Trains on the built-in scenes, measures how many captions are true of theirs, shows some of both, and draws
/// what was looked at.
///
/// # Errors
/// When the page or the run folder cannot be written, or the training fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Truth> {
    let read = |part| corpus::read(&Source::Embedded(part), &Reading::default());
    let (mut train, mut validation) = (read(Part::Train)?, read(Part::Validation)?);
    let mut test = read(Part::Test)?;
    let mut config = RunConfig::embedded();
    config.training.epochs = 4.0;
    config.training.seed = options.seed;
    config.training.keep_last = 1;
    validation.truncate(100);
    if options.fast {
        train.truncate(128);
        validation.truncate(16);
        test.truncate(16);
        config.training.epochs = 1.0;
    }
    let grid = config.encoder.sizes().grid;
    page.paragraph(&format!(
        "Scenes of coloured shapes, drawn by this program, with sentences that are true of them. A small \
         convolutional network sees {grid} x {grid} regions; a recurrent one tells, word by word, and before each \
         word looks at the regions (Show, Attend and Tell). Both learn from {} scenes in {}; the guide's \
         training is longer.",
        train.len(),
        passes(config.training.epochs)
    ))?;
    let run = RunFolder::create(options.folder.join("captioning"), true)?;
    let stop = app_kit::interrupt::flag();
    let trained =
        train_on_pictures((train, validation), &config, &run, &options.device, stop, ProgressStyle::Auto)?;
    tell_outcome(&trained.report, page)?;
    let captioner = Captioner::new(trained.model)?;

    let images = test.iter().map(|captioned| captioned.image.picture()).collect::<Result<Vec<Picture>>>()?;
    let captions = captioner.caption(&images, &SearchConfig::default())?;
    let captions: Vec<Caption> = captions.into_iter().filter_map(|found| found.into_iter().next()).collect();
    let tested: Vec<&Captioned> = test.iter().collect();
    let truth = evaluate::truth(&captions, &tested, Language::English, grid);
    let truth = truth.context("the built-in pictures are scenes")?;
    page.paragraph(&format!(
        "A caption is checked against the scene itself, not against other captions. Of {} scenes that it has not \
         seen, half of which join colours and shapes that it never saw together, {:.0} % of its captions are true.",
        captions.len(),
        truth.is_true,
    ))?;
    if truth.well_attended.is_finite() {
        page.paragraph(&format!(
            "Of its words for a colour or a shape, {:.0} % were said while looking at what they name.",
            truth.well_attended
        ))?;
    }
    let objection = |(captioned, caption): (&Captioned, &Caption)| match &captioned.image {
        Image::Scene(scene) => match scene.judge(&caption.text, Language::English) {
            Verdict::True => None,
            Verdict::False { why } => Some(why),
            Verdict::Ungrammatical => Some("it is no sentence of the grammar".to_owned()),
        },
        Image::File(_) => None,
    };
    let objections: Vec<Option<String>> = test.iter().zip(&captions).map(objection).collect();
    let (right, wrong): (Vec<usize>, Vec<usize>) =
        (0..captions.len()).partition(|&number| objections[number].is_none());
    examples(page, &right, &wrong, |number, page| {
        page.entry("told", &captions[number].text)?;
        page.entry("true", &test[number].captions[0])?;
        if let Some(why) = &objections[number] {
            page.entry("but", why)?;
        }
        Ok(())
    })?;
    for (numbers, name, caption) in [
        (&right, "caption-true.svg", "A true caption, and where it looked for each word"),
        (&wrong, "caption-false.svg", "A caption that is not true, and where it looked for each word"),
    ] {
        let Some(&number) = numbers.first() else { continue };
        let path = options.folder.join(name);
        pictures::write_tiles(&path, &pictures::attended(&images[number], &captions[number], grid)?)?;
        page.drawing(&path, caption)?;
    }
    Ok(truth)
}
