//! When a given text was said in a recording: forced alignment.

use anyhow::{Context, Result};
use app_kit::UsageError;
use audio_features::Audio;
use rnn_decode::ctc;

use crate::alphabet::BLANK;
use crate::model::SpeechModel;
use crate::network::Head;
use crate::recognizer::located;
use crate::transcript::Transcript;

/// The transcript of a recording in which `target` is said, as numbers of the alphabet.
///
/// # Errors
/// [`UsageError`] for a classifier; a text longer than the recording allows.
pub fn align(model: &SpeechModel, audio: &Audio, target: &[u32]) -> Result<Transcript> {
    if model.network().config().head == Head::Classification {
        let error = "this model says a label for the whole and does not know when: train one with --head ctc";
        return Err(UsageError::new(error).into());
    }
    let emissions = model.emissions(&[audio])?.pop().context("a recording has emissions")?;
    let aligned = ctc::align(&emissions.log_probs, emissions.symbols, target, BLANK)
        .with_context(|| format!("the text does not fit the recording of {:.2} s", audio.duration()))?;
    Ok(located(model, audio, &emissions, &aligned.symbols, aligned.log_prob))
}

/// The transcript of a recording in which `text` is said.
///
/// # Errors
/// As [`align`], and a text that has no symbols or some that the network does not know.
pub fn align_text(model: &SpeechModel, audio: &Audio, text: &str) -> Result<Transcript> {
    let text = model.config().text.apply(text);
    if text.is_empty() {
        return Err(UsageError::new("the text is empty: there is nothing to align").into());
    }
    let target =
        model.alphabet().encode(&text).map_err(|error| UsageError::new(format!("{text:?}: {error}")))?;
    align(model, audio, &target)
}
