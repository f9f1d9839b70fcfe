//! The network: convolutions over time that make fewer frames of many, recurrent layers, and a head that
//! says what was heard in each frame, or in the whole recording.
//!
//! ```text
//! y = dropout(relu(layer_norm(W [x_{st} … x_{st+k-1}] + b)))     convolution over time, k frames, stride s
//! h = Rnn(y)                                                     one direction or both
//! p(symbol | frame t) = softmax(W h_t + b)                       CTC (Graves et al. 2006)
//! p(label) = softmax(W mean_t h_t + b)                           classification
//! ```

use anyhow::Result;
use app_kit::UsageError;
use app_kit::network::CellName;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use candle_rnn::{LayerNorm, Lengths, Linear, MatmulPrecision, Mode, Rnn, RnnConfig, State, dropout};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What the network says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// A symbol, or none, for each frame: connectionist temporal classification
    #[default]
    Ctc,
    /// A label for the whole recording
    Classification,
}

/// The shape of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// What it says.
    pub head: Head,
    /// Convolutions over time; 0 for none.
    pub convolutions: usize,
    /// Features that each convolution gives.
    pub channels: usize,
    /// Frames that each sees at once.
    pub kernel: usize,
    /// Frames from one view to the next: of so many frames it makes one.
    pub stride: usize,
    /// The neuron.
    pub cell: CellName,
    /// Units of each recurrent layer and direction.
    pub hidden_size: usize,
    /// Recurrent layers.
    pub layers: usize,
    /// Whether they read in both directions; a network that does cannot listen while it is spoken to.
    pub bidirectional: bool,
    /// Probability with which a number is dropped in training, after each convolution and recurrent layer.
    pub dropout: f64,
    /// How exactly the factors of matrix products are held in training, on the CPU.
    pub matmul: MatmulPrecision,
}

impl Default for NetworkConfig {
    /// A convolution that halves the frames, two bidirectional GRUs of 128 units, CTC.
    fn default() -> Self {
        Self {
            head: Head::Ctc,
            convolutions: 1,
            channels: 128,
            kernel: 5,
            stride: 2,
            cell: CellName::Gru,
            hidden_size: 128,
            layers: 2,
            bidirectional: true,
            dropout: 0.2,
            matmul: MatmulPrecision::Full,
        }
    }
}

impl NetworkConfig {
    /// Checks that the settings make a network.
    ///
    /// # Errors
    /// [`UsageError`], with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        for (name, value) in [
            ("number of channels", self.channels),
            ("stride", self.stride),
            ("hidden size", self.hidden_size),
            ("number of layers", self.layers),
        ] {
            if value == 0 {
                return Err(UsageError::new(format!("the {name} must be at least 1")));
            }
        }
        if self.kernel < self.stride {
            let (kernel, stride) = (self.kernel, self.stride);
            return Err(UsageError::new(format!(
                "a kernel of {kernel} frames would skip frames at a stride of {stride}: make it {stride} or more"
            )));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let dropout = self.dropout;
            return Err(UsageError::new(format!(
                "the dropout must be at least 0 and below 1, not {dropout}"
            )));
        }
        Ok(())
    }

    /// Frames of features for each frame that the network gives out.
    pub fn subsampling(&self) -> usize {
        self.stride.saturating_pow(self.convolutions as u32)
    }

    /// Frames that it gives out for so many frames of features.
    pub fn frames(&self, frames: usize) -> usize {
        (0..self.convolutions).fold(frames, |frames, _| frames.div_ceil(self.stride))
    }

    /// When the first frame that the network gives out begins, in frames of features, if the first of those
    /// has its middle at 0: half a frame before the middle of what is seen for it.
    pub fn first_frame(&self) -> f64 {
        let (mut middle, mut hop) = (0.0, 1.0);
        for _ in 0..self.convolutions {
            let before = (self.kernel - self.stride) / 2;
            middle += hop * ((self.kernel - 1) as f64 / 2.0 - before as f64);
            hop *= self.stride as f64;
        }
        middle - hop / 2.0
    }

    fn rnn(&self, input_size: usize) -> RnnConfig {
        RnnConfig {
            layers: self.layers,
            bidirectional: self.bidirectional,
            dropout: self.dropout,
            matmul: self.matmul,
            ..RnnConfig::new(self.cell.into(), input_size, self.hidden_size)
        }
    }
}

/// A convolution over time with normalised, rectified outputs.
#[derive(Clone, Debug)]
pub struct Convolution {
    linear: Linear,
    norm: LayerNorm,
    kernel: usize,
    stride: usize,
}

impl Convolution {
    fn new(input: usize, config: &NetworkConfig, vb: VarBuilder) -> candle_core::Result<Self> {
        let NetworkConfig { channels, kernel, stride, matmul, .. } = *config;
        Ok(Self {
            linear: Linear::new(kernel * input, channels, true, vb.clone())?.with_matmul(matmul),
            norm: LayerNorm::new(channels, 1e-5, vb.pp("norm"))?,
            kernel,
            stride,
        })
    }

    /// Frames before the first that the first view sees, as zeros.
    fn before(&self) -> usize {
        (self.kernel - self.stride) / 2
    }

    /// Frames that it makes of so many.
    fn frames(&self, frames: usize) -> usize {
        frames.div_ceil(self.stride)
    }

    /// Zeros after so many frames for the last view.
    fn after(&self, frames: usize) -> usize {
        match self.frames(frames) {
            0 => 0,
            views => (views - 1) * self.stride + self.kernel - self.before() - frames,
        }
    }

    /// All views of `xs [batch, time, input]`, without padding: `[batch, views, channels]`.
    fn views(&self, xs: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, time, input) = xs.dims3()?;
        let views = (time - self.kernel) / self.stride + 1;
        // A view is its first `stride` frames and those of the views after it, as many as it needs.
        let blocks = self.kernel.div_ceil(self.stride);
        let missing = ((views + blocks - 1) * self.stride).saturating_sub(time);
        let xs = xs.pad_with_zeros(1, 0, missing)?.narrow(1, 0, (views + blocks - 1) * self.stride)?;
        let blocked = xs.contiguous()?.reshape((batch, views + blocks - 1, self.stride * input))?;
        let shifted = (0..blocks).map(|block| blocked.narrow(1, block, views));
        let wide = Tensor::cat(&shifted.collect::<candle_core::Result<Vec<_>>>()?, 2)?;
        let wide = wide.narrow(2, 0, self.kernel * input)?.contiguous()?;
        self.norm.forward_relu(&self.linear.forward(&wide)?)
    }
}

/// A speech network over frames of `features` numbers.
#[derive(Clone, Debug)]
pub struct Network {
    config: NetworkConfig,
    convolutions: Vec<Convolution>,
    rnn: Rnn,
    output: Linear,
}

impl Network {
    /// Reads or creates the weights `convolution.0.weight`, …, `rnn.weight_ih_l0`, …, `output.weight`,
    /// `output.bias`.
    ///
    /// # Errors
    /// Settings that make no network; a weight that is missing or has another shape.
    pub fn new(config: &NetworkConfig, features: usize, symbols: usize, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let mut size = features;
        let mut convolutions = Vec::new();
        for number in 0..config.convolutions {
            convolutions.push(Convolution::new(size, config, vb.pp("convolution").pp(number))?);
            size = config.channels;
        }
        let rnn = Rnn::new(&config.rnn(size), vb.pp("rnn"))?;
        let output =
            Linear::new(rnn.output_size(), symbols, true, vb.pp("output"))?.with_matmul(config.matmul);
        Ok(Self { config: config.clone(), convolutions, rnn, output })
    }

    /// What it was made with.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Scores of each frame, `[batch, frames, symbols]`, and how many of them are real; or, of a
    /// classifier, of each recording, `[batch, labels]`. `xs [batch, time, features]` is zero on padding.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(
        &self,
        xs: &Tensor,
        lengths: &Lengths,
        mode: &mut Mode,
    ) -> candle_core::Result<(Tensor, Lengths)> {
        let (mut xs, mut lengths) = (xs.clone(), lengths.clone());
        for convolution in &self.convolutions {
            let padded = xs.pad_with_zeros(1, convolution.before(), convolution.after(lengths.time()))?;
            xs = convolution.views(&padded)?;
            let frames = lengths.as_slice().iter().map(|&frames| convolution.frames(frames)).collect();
            lengths = Lengths::new(frames, xs.dim(1)?)?;
            let mask = lengths.mask(xs.dtype(), xs.device())?.unsqueeze(2)?;
            xs = dropout(&xs.broadcast_mul(&mask)?, self.config.dropout, mode)?;
        }
        let (states, _) = self.rnn.forward(&xs, Some(&lengths), None, mode)?;
        let states = match self.config.head {
            Head::Ctc => states,
            Head::Classification => mean_over_time(&states, &lengths)?,
        };
        let scores = self.output.forward(&dropout(&states, self.config.dropout, mode)?)?;
        Ok((scores, lengths))
    }

    /// The scores of frames that have yet to come.
    ///
    /// # Errors
    /// [`UsageError`] for a network that reads in both directions or classifies whole recordings.
    pub fn stream(&self, features: usize) -> Result<NetworkStream> {
        if self.config.bidirectional || self.config.head != Head::Ctc {
            let error = "this model reads its recordings from both ends, or as a whole, and cannot listen: train \
                         one with --streaming";
            return Err(UsageError::new(error).into());
        }
        let mut size = features;
        let mut buffers = Vec::new();
        for convolution in &self.convolutions {
            buffers.push(Frames { size, values: vec![0.0; convolution.before() * size], taken: 0 });
            size = self.config.channels;
        }
        Ok(NetworkStream { network: self.clone(), buffers, state: self.rnn.zero_state(1)? })
    }
}

/// The mean of each row's real steps: `[batch, time, size]` to `[batch, size]`.
fn mean_over_time(xs: &Tensor, lengths: &Lengths) -> candle_core::Result<Tensor> {
    let counts: Vec<f32> = lengths.as_slice().iter().map(|&length| length as f32).collect();
    let counts = Tensor::new(counts, xs.device())?.to_dtype(xs.dtype())?.unsqueeze(1)?;
    // The recurrent layers give zeros on padding.
    xs.sum(1)?.broadcast_div(&counts)
}

/// Frames that wait for those they are seen together with.
struct Frames {
    size: usize,
    values: Vec<f32>,
    /// Frames that have come, padding not counted.
    taken: usize,
}

/// Scores of the frames of a recording, while it comes.
pub struct NetworkStream {
    network: Network,
    /// What waits before each convolution.
    buffers: Vec<Frames>,
    state: State,
}

impl NetworkStream {
    /// Takes the next frames, `values [frames, features]`, and gives the scores `[frames, symbols]` of those
    /// that they complete.
    ///
    /// # Errors
    /// A device that fails.
    pub fn push(&mut self, values: &[f32]) -> candle_core::Result<Vec<f32>> {
        self.advance(values, false)
    }

    /// Ends the recording and gives the scores of the last frames.
    ///
    /// # Errors
    /// A device that fails.
    pub fn finish(&mut self) -> candle_core::Result<Vec<f32>> {
        self.advance(&[], true)
    }

    fn advance(&mut self, values: &[f32], ends: bool) -> candle_core::Result<Vec<f32>> {
        let device = self.network.output.weight().device().clone();
        let mut values = values.to_vec();
        for (convolution, buffer) in self.network.convolutions.iter().zip(&mut self.buffers) {
            buffer.taken += values.len() / buffer.size;
            buffer.values.append(&mut values);
            if ends {
                let zeros = convolution.after(buffer.taken) * buffer.size;
                buffer.values.resize(buffer.values.len() + zeros, 0.0);
            }
            let frames = buffer.values.len() / buffer.size;
            if frames < convolution.kernel {
                continue;
            }
            let xs = Tensor::from_slice(&buffer.values, (1, frames, buffer.size), &device)?;
            let seen = convolution.views(&xs)?;
            buffer.values.drain(..seen.dim(1)? * convolution.stride * buffer.size);
            values = seen.flatten_all()?.to_vec1()?;
        }
        let size = self.network.rnn.config().input_size;
        let frames = values.len() / size;
        if frames == 0 {
            return Ok(Vec::new());
        }
        let xs = Tensor::from_vec(values, (1, frames, size), &device)?;
        let (states, state) = self.network.rnn.forward(&xs, None, Some(&self.state), &mut Mode::Eval)?;
        self.state = state.detach();
        self.network.output.forward(&states)?.flatten_all()?.to_vec1()
    }
}
