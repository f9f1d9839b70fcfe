//! The hidden states `h_t` of the trained network, and the network unrolled.

use anyhow::Result;

use crate::page::pad_left;
use crate::word::{RECURRENT_UNITS, Recurrent, WORD, one_hot};
use crate::{Options, Page, figures};

/// Prints the hidden state after every letter of the word; draws the states as a heat map and
/// the steps as one copy of the network per letter.
///
/// # Errors
/// When the page or a figure cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<()> {
    page.paragraph(
        "unrolling-state",
        &[
            ("units", &RECURRENT_UNITS),
            ("earlier", &"h_{t-1}"),
            ("step", &"h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)"),
        ],
    )?;
    let network = Recurrent::trained(options.seed, &options.device)?;
    let xs = one_hot(&WORD, &options.device)?;
    let states = network.hidden(&xs)?.squeeze(0)?.to_vec2::<f32>()?;

    let header: String = WORD.iter().map(|letter| format!("{letter:>8}")).collect();
    page.line(&format!("    {}{header}", pad_left(&page.say("unrolling-unit", &[]), 4)))?;
    for unit in 0..RECURRENT_UNITS {
        let row: String = states.iter().map(|h| format!("{:>8.2}", h[unit])).collect();
        page.line(&format!("    {:>4}{row}", unit + 1))?;
    }
    page.line("")?;
    let distance = |i: usize, j: usize| {
        let squares = states[i].iter().zip(&states[j]).map(|(a, b)| (a - b).powi(2));
        format!("{:.2}", squares.sum::<f32>().sqrt())
    };
    page.paragraph(
        "unrolling-distances",
        &[("first", &distance(1, 3)), ("second", &distance(1, 6)), ("third", &distance(3, 6))],
    )?;

    page.paragraph("unrolling-copies", &[])?;
    page.line("      a        m        a        s        k        a        r")?;
    page.line("      ^ W_hy   ^        ^        ^        ^        ^        ^")?;
    page.line("  0 ->h_1 --->h_2 --->h_3 --->h_4 --->h_5 --->h_6 --->h_7 --->h_8")?;
    page.line("      ^   W_hh ^        ^        ^        ^        ^        ^        ^")?;
    page.line("      | W_xh   |        |        |        |        |        |        |")?;
    page.line("      n        a        m        a        s        k        a        r")?;
    page.line("")?;

    let labels: Vec<String> = WORD.iter().map(char::to_string).collect();
    let heat = options.folder.join("hidden-states.svg");
    figures::heat_map(&heat, "namaskar: hidden state after each letter", &labels, &states)?;
    let unrolled = options.folder.join("unrolled.svg");
    figures::unrolled(&unrolled, &WORD)?;
    page.drawing(&heat, "unrolling-states-drawing", &[])?;
    page.drawing(&unrolled, "unrolling-copies-drawing", &[])?;
    Ok(())
}
