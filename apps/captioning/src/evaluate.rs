//! How good captions are: against those of people, against those of the most similar picture, and, of drawn
//! scenes, against what is really there.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use candle_rnn::{CrossEntropy, Mode};
use datasets::embedded::captioning::{Attribute, Language, SIZE, Scene, Verdict};
use rnn_metrics::{CaptionScores, CaptionTokenizer};
use rnn_train::batches::{IGNORED, TeacherForced};
use serde::Serialize;

use crate::captioner::{Caption, Captioner, SearchConfig};
use crate::corpus::{Captioned, Image};
use crate::encoder::Seen;
use crate::features::Features;
use crate::network::Network;
use crate::vocabulary::is_without_spaces;

/// Pictures that are captioned at once.
pub const ROWS: usize = 64;

/// Mean of `-ln p` over the symbols of captions, their ends among them, in nats. A caption goes with a row of
/// what was seen.
///
/// # Errors
/// No caption, or a device that fails.
pub fn loss(network: &Network, seen: &[(Seen, Vec<&[u32]>)], begin: u32, device: &Device) -> Result<f64> {
    let loss = CrossEntropy { ignore: Some(IGNORED), ..CrossEntropy::default() };
    let (mut sum, mut count) = (0.0, 0);
    for (seen, captions) in seen {
        let mode = &mut Mode::Eval;
        let TeacherForced { inputs, targets, lengths } = TeacherForced::new(captions, begin, device)?;
        let picture = network.look(seen, mode)?;
        let (vectors, _) = network.decode(&picture, &inputs, &lengths, mode)?;
        let part = network.loss(loss, &vectors.detach(), &targets, mode)?;
        sum += part.sum.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        count += part.count;
    }
    ensure!(count > 0, "there is not one caption to evaluate on");
    Ok(sum / count as f64)
}

/// The scores of captions, and of those of the most similar pictures beside them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Of the model's captions.
    pub model: CaptionScores,
    /// Of the first caption of the training picture whose global features are the nearest; none without
    /// training pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_neighbour: Option<CaptionScores>,
    /// Of drawn scenes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<Truth>,
}

/// How captions stand to the scenes they are of, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Truth {
    /// Captions that are true of their scene.
    #[serde(rename = "true")]
    pub is_true: f64,
    /// Captions of which something is not so.
    #[serde(rename = "false")]
    pub is_false: f64,
    /// Captions that are no sentences of the grammar.
    pub ungrammatical: f64,
    /// Words for a colour or a shape whose most attended region lies on what they name; NaN without any.
    pub well_attended: f64,
}

/// The scores of captions of these pictures.
///
/// # Errors
/// When there are not as many, or none.
pub fn scores(captions: &[String], pictures: &[&Captioned]) -> Result<CaptionScores> {
    let references: Vec<Vec<String>> = pictures.iter().map(|picture| picture.captions.clone()).collect();
    let tokenizer = tokenizer(references.iter().flatten());
    Ok(CaptionScores::new(captions, &references, tokenizer)?)
}

/// How captions are cut into words: where most characters are Chinese, Japanese or Korean, into these; else as
/// in the evaluation of COCO.
pub fn tokenizer<'a>(captions: impl Iterator<Item = &'a String>) -> CaptionTokenizer {
    let all: String = captions.map(String::as_str).collect();
    if is_without_spaces(&all) { CaptionTokenizer::Characters } else { CaptionTokenizer::Ptb }
}

/// The caption of each picture from the training picture that looks most like it: whose global features have the
/// largest cosine with its own, of which `global` has a row, `[pictures, global]`.
///
/// # Errors
/// A device that fails.
pub fn nearest_neighbours(train: (&Features, &[Captioned]), global: &Tensor) -> Result<Vec<String>> {
    let (train, captioned) = train;
    let unit = |global: &Tensor| -> candle_core::Result<Tensor> {
        let length = global.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
        global.broadcast_div(&length)
    };
    let known: Vec<usize> = (0..captioned.len()).filter(|&picture| train.has(picture)).collect();
    let of_train = known.chunks(256).map(|pictures| Ok(train.rows(pictures, &Device::Cpu)?.global));
    let of_train = Tensor::cat(&of_train.collect::<Result<Vec<_>>>()?, 0)?;
    let global = global.to_device(&Device::Cpu)?;
    let nearest = unit(&global)?.matmul(&unit(&of_train)?.t()?.contiguous()?)?.argmax(1)?.to_vec1::<u32>()?;
    Ok(nearest.into_iter().map(|row| captioned[known[row as usize]].captions[0].clone()).collect())
}

/// The best caption of each of these pictures.
///
/// # Errors
/// Those of [`Captioner::caption_seen`].
pub fn captions(captioner: &Captioner, seen: &[Seen], config: &SearchConfig) -> Result<Vec<Caption>> {
    let mut captions = Vec::new();
    for seen in seen {
        captions.extend(
            captioner
                .caption_seen(seen, config)?
                .into_iter()
                .filter_map(|mut found| (!found.is_empty()).then(|| found.swap_remove(0))),
        );
    }
    Ok(captions)
}

/// How captions stand to the scenes they are of; none if a picture is no scene.
pub fn truth(
    captions: &[Caption],
    pictures: &[&Captioned],
    language: Language,
    grid: usize,
) -> Option<Truth> {
    let scenes: Option<Vec<&Scene>> = pictures
        .iter()
        .map(|picture| match &picture.image {
            Image::Scene(scene) => Some(&**scene),
            Image::File(_) => None,
        })
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut right, mut named) = (0, 0);
    for (caption, scene) in captions.iter().zip(scenes?) {
        let verdict = match scene.judge(&caption.text, language) {
            Verdict::True => "true",
            Verdict::False { .. } => "false",
            Verdict::Ungrammatical => "ungrammatical",
        };
        *counts.entry(verdict).or_default() += 1;
        for lies_on in attended(caption, scene, language, grid) {
            named += 1;
            right += usize::from(lies_on);
        }
    }
    let part = |verdict: &str| {
        100.0 * counts.get(verdict).copied().unwrap_or(0) as f64 / captions.len().max(1) as f64
    };
    Some(Truth {
        is_true: part("true"),
        is_false: part("false"),
        ungrammatical: part("ungrammatical"),
        well_attended: 100.0 * right as f64 / named as f64,
    })
}

/// For each word for a colour or a shape, whether some of the region that was looked at most is on what the
/// word names. A caption that is cut into other pieces than words (or, in Chinese, characters) has none.
fn attended(caption: &Caption, scene: &Scene, language: Language, grid: usize) -> Vec<bool> {
    let lies_on = |(unit, weights): (usize, &Vec<f32>)| {
        let named = scene.named(&caption.text, unit, language)?;
        if named.attribute == Attribute::Size {
            return None;
        }
        let region = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b]))?;
        let (left, top) = (region % grid * SIZE / grid, region / grid * SIZE / grid);
        let side = SIZE / grid;
        let mut pixels = (0..side * side).map(|at| (left + at % side, top + at / side));
        Some(pixels.any(|(x, y)| named.objects.iter().any(|&object| scene.objects[object].covers(x, y))))
    };
    if caption.attention.is_empty() || caption.tokens.len() != language.units(&caption.text).len() {
        return Vec::new();
    }
    caption.attention.iter().take(caption.tokens.len()).enumerate().filter_map(lies_on).collect()
}
