//! Recurrent networks on [candle](candle_core): cells, whole-sequence layers, backpropagation
//! through time.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_rnn::{Cell, Generator, Lengths, Mode, Parameters, Rnn, RnnConfig};
//!
//! # fn main() -> candle_core::Result<()> {
//! // Two layers, two directions, 16 numbers in, 32 units; weights drawn from the seed 42.
//! let parameters = Parameters::new(42, DType::F32, &Device::Cpu);
//! let config = RnnConfig { layers: 2, bidirectional: true, dropout: 0.3,
//!     ..RnnConfig::new(Cell::lstm(), 16, 32) };
//! let rnn = Rnn::new(&config, parameters.builder())?;
//!
//! // Three sequences padded to ten steps; the second ends after four.
//! let xs = Tensor::ones((3, 10, 16), DType::F32, &Device::Cpu)?;
//! let lengths = Lengths::new(vec![10, 4, 7], 10)?;
//! let mut generator = Generator::new(7);
//! let (ys, _state) = rnn.forward(&xs, Some(&lengths), None, &mut Mode::Train(&mut generator))?;
//! assert_eq!(ys.dims(), [3, 10, 64]);
//!
//! // Backpropagation through time: every weight has its gradient.
//! let gradients = ys.sqr()?.sum_all()?.backward()?;
//! assert!(parameters.named().iter().all(|(_, w)| gradients.get(w).is_some()));
//! # Ok(()) }
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`cell`] | the neurons, one step each: Elman of any order, GRU, LSTM |
//! | [`rnn`] | [`Rnn`]: layers × directions of one cell over a padded batch |
//! | [`renet`] | [`ReNet`]: recurrent layers over the rows and columns of a picture |
//! | [`state`] | what is carried from step to step and from window to window |
//! | [`attention`] | additive and multiplicative attention over a memory; a recurrent layer that attends |
//! | [`lengths`] | how many steps of each row are real |
//! | [`stepper`], [`prepared`] | one sequence, one step after another, with weights made ready for it |
//! | [`softmax_layer`] | the output layer of a search, with its weight packed once |
//! | [`sequence`] | a whole layer over all time steps as one node of the autograd graph |
//! | [`bptt`] | windows over long streams, gradient reduction, gradient flow |
//! | [`loss`] | over padded sequences: cross entropy, connectionist temporal classification |
//! | [`convolution`] | over pictures, dense and depthwise |
//! | [`linear`], [`layer_norm`], [`batch_norm`], [`embedding`], [`mod@dropout`], [`init`] | what candle-nn lacks or does otherwise |
//! | [`parameters`], [`random`] | named weights and random numbers, both from a seed |
//!
//! The crate never touches the file system, the clock, the terminal or a global random generator.

pub mod attention;
pub mod batch_norm;
pub mod bptt;
pub mod cell;
pub mod convolution;
pub mod dropout;
pub mod embedding;
pub mod init;
#[doc(hidden)] // for benches/; not an interface to build on
pub mod kernels;
pub mod layer_norm;
pub mod lengths;
pub mod linear;
pub mod loss;
pub mod parameters;
pub mod prepared;
pub mod random;
pub mod renet;
pub mod rnn;
pub mod sequence;
pub mod softmax_layer;
pub mod state;
pub mod stepper;

pub use attention::{Attention, AttentionRnn, AttentionRnnConfig, AttentionScore, Memory};
pub use batch_norm::BatchNorm;
pub use bptt::{GradientFlow, Reduction, Window, Windows};
pub use cell::{Activation, Cell};
pub use convolution::{Convolution, DepthwiseConvolution};
pub use dropout::{dropout, dropout_over_time};
pub use embedding::Embedding;
pub use kernels::{MatmulPrecision, bf16_instructions, instruction_set};
pub use layer_norm::LayerNorm;
pub use lengths::Lengths;
pub use linear::Linear;
pub use loss::{CrossEntropy, Ctc, CtcLoss, LossSum, log_softmax_rows};
pub use parameters::Parameters;
pub use prepared::{Precision, PreparedLinear};
pub use random::{Generator, Mode};
pub use renet::ReNet;
pub use rnn::{Rnn, RnnConfig};
pub use softmax_layer::SoftmaxLayer;
pub use state::State;
pub use stepper::Stepper;
