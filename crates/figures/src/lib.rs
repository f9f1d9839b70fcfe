//! Pictures of what a network does.
//!
//! [`HeatMap`] draws an attention (or any matrix of numbers from 0 to 1) as SVG, [`png`] turns SVG
//! into pixels, and [`AlignmentPage`] is a page to explore translations with.

mod alignment_page;
mod colour_scale;
mod error;
mod heat_map;
mod labels;
mod markup;
mod png;
mod weights;

pub use alignment_page::{AlignedSentence, AlignmentPage};
pub use error::Error;
pub use heat_map::HeatMap;
pub use png::png;
