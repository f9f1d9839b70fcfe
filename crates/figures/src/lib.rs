//! Pictures of what a network does.
//!
//! [`HeatMap`] draws an attention (or any matrix of numbers from 0 to 1) as SVG, [`png`] turns SVG
//! into pixels, and [`AlignmentPage`] is a page to explore translations with. [`AttendedPicture`] shows
//! where a network looked for each word of a caption, and [`Gallery`] is a page of captioned pictures.
//!
//! For pictures of other kinds there are the parts these are made of: [`colour_scale`], [`labels`],
//! [`markup`].

mod alignment_page;
mod attended_picture;
pub mod colour_scale;
mod error;
mod gallery;
mod heat_map;
pub mod labels;
pub mod markup;
mod png;
mod weights;

pub use alignment_page::{AlignedSentence, AlignmentPage};
pub use attended_picture::AttendedPicture;
pub use error::Error;
pub use gallery::{Exhibit, Gallery};
pub use heat_map::HeatMap;
pub use png::png;
