//! Captions of pictures: a convolutional network looks, a recurrent one tells.
//!
//! The binary `captioning` is a thin face over this library, which needs no terminal:
//!
//! ```no_run
//! use std::path::Path;
//! use candle_core::Device;
//! use captioning::{Captioner, SearchConfig};
//! use image_features::Picture;
//!
//! # fn main() -> anyhow::Result<()> {
//! let captioner = Captioner::load(Path::new("my-run"), &Device::Cpu)?;
//! let picture = Picture::read(Path::new("beach.jpg"))?;
//! let captions = captioner.caption(&[picture], &SearchConfig::default())?;
//! println!("{}", captions[0][0].text);
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`corpus`] | pictures and captions from tables, COCO, Karpathy's splits, Flickr8k, or drawn |
//! | [`encoder`] | the network that looks: trained along, or EfficientNet-Lite0 |
//! | [`features`] | what a frozen encoder has seen, kept in a file |
//! | [`network`] | [`Network`]: the decoder, with attention over the regions or without |
//! | [`vocabulary`], [`examples`] | captions → symbols; pictures, varied, in batches |
//! | [`settings`], [`task`], [`mod@train`] | settings and flags; what is trained; the run |
//! | [`model`], [`captioner`] | a trained model; what says what is on pictures |
//! | [`mod@evaluate`], [`pictures`], [`mod@inspect`] | what one does with a trained model |

pub mod captioner;
pub mod corpus;
pub mod encoder;
pub mod evaluate;
pub mod examples;
pub mod features;
pub mod inspect;
pub mod model;
pub mod network;
pub mod pictures;
pub mod settings;
pub mod task;
pub mod train;
pub mod vocabulary;

pub use captioner::{Caption, Captioner, SearchConfig};
pub use corpus::{Captioned, Image};
pub use inspect::inspect;
pub use model::{CaptionConfig, CaptionModel};
pub use network::{Network, NetworkConfig};
pub use settings::{RunConfig, TrainArgs};
pub use train::{Trained, train_on_pictures};
