//! Captioning: a CNN splits a picture into regions, an RNN tells what is on it.

use ::captioning::captioner::SearchConfig;
use ::captioning::corpus::{self, Part, Reading, Source};
use ::captioning::evaluate::{self, Truth};
use ::captioning::{Caption, Captioned, Captioner, Image, RunConfig, pictures, train_on_pictures};
use anyhow::{Context, Result};
use datasets::embedded::captioning::Verdict;
use image_features::Picture;
use rnn_train::{ProgressStyle, RunFolder};

use crate::{Options, Page, examples, passes, tell_outcome};

/// Trains on the built-in scenes, measures how many captions are true of theirs, shows some of both, and draws
/// what was looked at.
///
/// # Errors
/// When the page or the run folder cannot be written, or the training fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<Truth> {
    let reading = Reading { language: Some(page.language().tag().to_owned()), ..Reading::default() };
    let language = corpus::language(&reading)?;
    let read = |part| corpus::read(&Source::Embedded(part), &reading);
    let (mut train, mut validation) = (read(Part::Train)?, read(Part::Validation)?);
    let mut test = read(Part::Test)?;
    let mut config = RunConfig::embedded();
    config.data.reading = reading.clone();
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
    page.paragraph(
        "captioning-scenes",
        &[
            ("regions", &format!("{grid} x {grid}")),
            ("scenes", &train.len()),
            ("passes", &passes(config.training.epochs, page)),
        ],
    )?;
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
    let truth = evaluate::truth(&captions, &tested, language, grid);
    let truth = truth.context("the built-in pictures are scenes")?;
    page.paragraph(
        "captioning-truth",
        &[("scenes", &captions.len()), ("share", &format!("{:.0}", truth.is_true))],
    )?;
    if truth.well_attended.is_finite() {
        let share = format!("{:.0}", truth.well_attended);
        page.paragraph("captioning-attended", &[("share", &share)])?;
    }
    let objection = |(captioned, caption): (&Captioned, &Caption)| match &captioned.image {
        Image::Scene(scene) => match scene.judge(&caption.text, language) {
            Verdict::True => None,
            Verdict::False { why } => Some(why),
            Verdict::Ungrammatical => Some(page.say("captioning-ungrammatical", &[])),
        },
        Image::File(_) => None,
    };
    let objections: Vec<Option<String>> = test.iter().zip(&captions).map(objection).collect();
    let (right, wrong): (Vec<usize>, Vec<usize>) =
        (0..captions.len()).partition(|&number| objections[number].is_none());
    examples(page, &right, &wrong, |number, _, page| {
        page.entry("captioning-told", &captions[number].text)?;
        page.entry("captioning-true", &test[number].captions[0])?;
        if let Some(why) = &objections[number] {
            page.entry("captioning-but", why)?;
        }
        Ok(())
    })?;
    for (numbers, name, caption) in [
        (&right, "caption-true.svg", "captioning-true-drawing"),
        (&wrong, "caption-false.svg", "captioning-false-drawing"),
    ] {
        let Some(&number) = numbers.first() else { continue };
        let path = options.folder.join(name);
        pictures::write_tiles(&path, &pictures::attended(&images[number], &captions[number], grid)?)?;
        page.drawing(&path, caption, &[])?;
    }
    Ok(truth)
}
