//! From a picture to its regions: what a network that describes pictures attends to.
//!
//! ```
//! use candle_core::{DType, Device};
//! use candle_rnn::{Mode, Parameters};
//! use image_features::{Picture, Preprocessing, Residual, ResidualConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let picture = Picture::new(80, 60, vec![200; 3 * 80 * 60])?;
//! let pixels = Preprocessing { size: 64, ..Preprocessing::default() }.pixels(&picture)?;
//! let xs = image_features::batch(&[pixels], 64, &Device::Cpu)?;
//!
//! let parameters = Parameters::new(1, DType::F32, &Device::Cpu);
//! let network = Residual::new(&ResidualConfig::default(), parameters.builder())?;
//! assert_eq!(network.forward(&xs, &Mode::Eval)?.dims(), [1, 8, 8, 96]);
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`picture`] | [`Picture`]: PNG and JPEG files of any mode and orientation as red, green and blue |
//! | [`preprocessing`] | [`Preprocessing`]: pictures of one size as numbers |
//! | [`augment`] | [`AugmentConfig`]: pieces, mirror images and colours, drawn anew each time |
//! | [`contours`](mod@contours) | [`contours()`]: where pictures change, whatever their colours |
//! | [`colours`](mod@colours) | [`colours()`]: which colours are in each of their regions |
//! | [`residual`] | [`Residual`]: a small residual network to be trained from scratch on a CPU |
//! | [`efficientnet`] | [`EfficientNetLite0`]: a network that has seen ImageNet |

pub mod augment;
pub mod colours;
pub mod contours;
pub mod efficientnet;
mod error;
pub mod picture;
pub mod preprocessing;
pub mod residual;

pub use augment::AugmentConfig;
pub use colours::colours;
pub use contours::contours;
pub use efficientnet::EfficientNetLite0;
pub use error::Error;
pub use picture::Picture;
pub use preprocessing::{Preprocessing, batch};
pub use residual::{Residual, ResidualConfig};
