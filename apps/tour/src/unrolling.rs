//! The hidden states `h_t` of the trained network, and the network unrolled.

use anyhow::Result;

use crate::word::{RECURRENT_UNITS, Recurrent, WORD, one_hot};
use crate::{Options, Page, figures};

/// Prints the hidden state after every letter of the word; draws the states as a heat map and
/// the steps as one copy of the network per letter.
///
/// # Errors
/// When the page or a figure cannot be written, or the device fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<()> {
    page.paragraph(&format!(
        "The memory of the recurrent network is one vector of {RECURRENT_UNITS} numbers between -1 \
         and 1. It starts at h_0 = 0, and every letter turns h_{{t-1}} into \
         h_t = tanh(W_hh h_{{t-1}} + W_xh x_t + b_h). A column is the state after the letter above it."
    ))?;
    let network = Recurrent::trained(options.seed, &options.device)?;
    let xs = one_hot(&WORD, &options.device)?;
    let states = network.hidden(&xs)?.squeeze(0)?.to_vec2::<f32>()?;

    let header: String = WORD.iter().map(|letter| format!("{letter:>8}")).collect();
    page.line(&format!("    unit{header}"))?;
    for unit in 0..RECURRENT_UNITS {
        let row: String = states.iter().map(|h| format!("{:>8.2}", h[unit])).collect();
        page.line(&format!("    {:>4}{row}", unit + 1))?;
    }
    page.line("")?;
    let distance = |i: usize, j: usize| {
        let squares = states[i].iter().zip(&states[j]).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f32>().sqrt()
    };
    page.paragraph(&format!(
        "The letter a is read at steps 2, 4 and 7. The distances between those states are \
         |h_2 - h_4| = {:.2}, |h_2 - h_7| = {:.2}, |h_4 - h_7| = {:.2}: the same letter leaves three \
         different memories. In the feed-forward network all three distances are 0.",
        distance(1, 3),
        distance(1, 6),
        distance(3, 6)
    ))?;

    page.paragraph(
        "Unrolled, the network is eight copies of one step, side by side. Each copy hands its h_t to \
         the next. All of them use the same W_xh, W_hh and W_hy; there are no others. Seven copies \
         are asked for a letter, and the eighth reads the r that the seventh was asked for.",
    )?;
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
    page.drawing(&heat, "The hidden state after each letter of namaskar")?;
    page.drawing(&unrolled, "The unrolled network: eight copies that share their weights")?;
    Ok(())
}
