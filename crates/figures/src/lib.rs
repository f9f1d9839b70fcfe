//! Pictures of what a network does.
//!
//! [`HeatMap`] draws an attention (or any matrix of numbers from 0 to 1) as SVG, [`png`] turns SVG
//! into pixels, and [`AlignmentPage`] is a page to explore translations with.
//!
//! For pictures of other kinds there are the parts these are made of: [`colour_scale`], [`labels`],
//! [`markup`].

mod alignment_page;
pub mod colour_scale;
mod error;
mod heat_map;
pub mod labels;
pub mod markup;
mod png;
mod weights;

pub use alignment_page::{AlignedSentence, AlignmentPage};
pub use error::Error;
pub use heat_map::HeatMap;
pub use png::png;
