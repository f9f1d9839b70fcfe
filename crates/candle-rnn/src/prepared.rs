//! A dense layer made ready for one row at a time.
//!
//! Constraint: the product of a single row with a weight reads every number of the weight for one
//! multiplication, so that its time is the time of that reading; to bring the weight into another
//! order first, or to wake a thread for it, would take longer. Solution: the weight is packed once
//! ([`Precision::F32`]), or rounded to a quarter of its size ([`Precision::Int8`]).

use std::mem::MaybeUninit;

use candle_core::{DType, Device, Result, Tensor};
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmUninitOptions, QuantParams};
use rten_tensor::NdTensorView;

use crate::kernels::{Packed, Rows, Team, with_numbers, with_team};
use crate::{Linear, MatmulPrecision};

/// In what the weights of a network made ready for single rows are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As f32, and products in full precision.
    #[default]
    F32,
    /// As whole numbers of 8 bits with a scale for each row of a weight, and the input of each
    /// product likewise with a scale of its own: a quarter of the memory to be read, and scores
    /// that differ a little.
    Int8,
}

/// `W x` for one `x` at a time.
pub(crate) struct Matrix(Weights);

enum Weights {
    F32(Packed<f32>),
    Int8(Box<Int8>),
}

impl Matrix {
    /// From a weight `[out, in]`.
    pub fn new(weight: &Tensor, precision: Precision) -> Result<Self> {
        let weight = weight.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let input = weight.dim(1)?;
        with_numbers(&weight, |numbers| {
            Self(match precision {
                Precision::F32 => {
                    Weights::F32(Packed::columns(Rows::new(numbers, input), MatmulPrecision::Full))
                }
                Precision::Int8 => Weights::Int8(Box::new(Int8::new(numbers, input))),
            })
        })
    }

    /// `out += W x`
    pub fn add_product(&mut self, team: &Team, x: &[f32], out: &mut [f32]) {
        match &mut self.0 {
            Weights::F32(packed) => team.product(out, Rows::new(x, x.len()), packed),
            Weights::Int8(int8) => int8.add_product(team, x, out),
        }
    }
}

/// `w ≈ scale · q` with `q` from −127 to 127 and a scale per row of the weight; the input
/// `x ≈ scale · (q − 128)` with `q` from 1 to 255.
struct Int8 {
    /// `[out, in]`
    weight: Vec<i8>,
    scales: Vec<f32>,
    input: Vec<u8>,
}

thread_local! {
    /// It asks the processor what it can do, which takes longer than a product.
    static EXECUTOR: GemmExecutor<u8, i8, i32> = GemmExecutor::new();
}

/// The input's zero.
const ZERO: u8 = 128;

impl Int8 {
    fn new(weight: &[f32], input: usize) -> Self {
        // Without the dot products of newer processors, two products are added in 16 bits.
        let most = if EXECUTOR.with(GemmExecutor::may_saturate) { 63. } else { 127. };
        let rows = weight.chunks_exact(input);
        let scales: Vec<f32> = rows.clone().map(|row| largest(row) / most).collect();
        let rounded = |(row, &scale): (&[f32], &f32)| -> Vec<i8> {
            let factor = if scale > 0. { 1. / scale } else { 0. };
            row.iter().map(|w| (w * factor).round() as i8).collect()
        };
        let weight = rows.zip(&scales).flat_map(rounded).collect();
        Self { weight, scales, input: vec![0; input] }
    }

    fn add_product(&mut self, team: &Team, x: &[f32], out: &mut [f32]) {
        assert_eq!(
            (x.len(), out.len()),
            (self.input.len(), self.scales.len()),
            "the shapes of a product agree"
        );
        let scale = largest(x) / 127.;
        let factor = if scale > 0. { 1. / scale } else { 0. };
        for (q, x) in self.input.iter_mut().zip(x) {
            *q = ((x * factor).round() + f32::from(ZERO)) as u8;
        }
        let Self { weight, scales, input, .. } = self;
        team.share(out, AT_A_TIME, &|first, out| {
            let rows = scales[first * AT_A_TIME..].chunks(AT_A_TIME);
            let weights = weight[first * AT_A_TIME * input.len()..].chunks(AT_A_TIME * input.len());
            for ((out, scales), weights) in out.chunks_mut(AT_A_TIME).zip(rows).zip(weights) {
                let mut sums = [MaybeUninit::uninit(); AT_A_TIME];
                let sums = dot_products(weights, input, &mut sums[..scales.len()]);
                for ((out, &sum), row_scale) in out.iter_mut().zip(sums.iter()).zip(scales) {
                    *out += scale * row_scale * sum as f32;
                }
            }
        });
    }
}

/// Rows of a weight at a time: so few that `rten-gemm` computes them on this thread (from 128 on it
/// would share them among threads that a team has taken).
const AT_A_TIME: usize = 64;

/// The sum of products of each row of `weights` with the input.
fn dot_products<'a>(weights: &[i8], input: &[u8], sums: &'a mut [MaybeUninit<i32>]) -> &'a [i32] {
    let row = NdTensorView::from_data([1, input.len()], input);
    let weights = NdTensorView::from_data([sums.len(), input.len()], weights);
    let options = GemmUninitOptions {
        a_quant: Some(QuantParams { zero_point: &[ZERO] }),
        b_quant: Some(QuantParams { zero_point: &[0; AT_A_TIME][..sums.len()] }),
        ..GemmUninitOptions::default()
    };
    let (a, b) = (GemmInputA::Unpacked(row), GemmInputB::Unpacked(weights.transposed()));
    EXECUTOR.with(|executor| executor.gemm_uninit(sums, a, b, options)).expect("the shapes agree")
}

/// The largest magnitude; NaN if there is one.
fn largest(xs: &[f32]) -> f32 {
    xs.iter().fold(0., |most: f32, x| if x.abs() <= most || most.is_nan() { most } else { x.abs() })
}

/// `y = W x + b` for one `x` at a time: a [`Linear`] whose weight has been made ready.
pub struct PreparedLinear {
    matrix: Matrix,
    bias: Vec<f32>,
    multiplications: usize,
}

impl PreparedLinear {
    /// The layer as it is now; later changes of its variables are not seen.
    ///
    /// # Errors
    /// When its weight cannot be read.
    pub fn new(linear: &Linear, precision: Precision) -> Result<Self> {
        let matrix = Matrix::new(linear.weight(), precision)?;
        let bias = bias_of(linear)?;
        Ok(Self { matrix, bias, multiplications: linear.weight().elem_count() })
    }

    /// Writes `W x + b` to `out`.
    ///
    /// # Panics
    /// When a length is not that of the layer.
    pub fn forward(&mut self, x: &[f32], out: &mut [f32]) {
        out.copy_from_slice(&self.bias);
        let matrix = &mut self.matrix;
        with_team(1, self.multiplications, |team| matrix.add_product(team, x, out));
    }
}

/// The bias of a layer; zeros where it has none.
pub(crate) fn bias_of(linear: &Linear) -> Result<Vec<f32>> {
    match linear.bias() {
        Some(bias) => vector(bias),
        None => Ok(vec![0.; linear.output_size()?]),
    }
}

/// The numbers of a vector.
pub(crate) fn vector(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    #[test]
    fn eight_bits_give_the_product_but_for_rounding() {
        let mut generator = Generator::new(5);
        let (rows, columns) = (670, 300);
        let weight: Vec<f32> = (0..rows * columns).map(|_| generator.normal() as f32).collect();
        let x: Vec<f32> = (0..columns).map(|_| generator.normal() as f32).collect();
        let mut out = vec![1.; rows];
        with_team(1, usize::MAX, |team| Int8::new(&weight, columns).add_product(team, &x, &mut out));
        for (row, out) in weight.chunks_exact(columns).zip(out) {
            let truth: f32 = 1. + row.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>();
            // Two roundings of at most half a step, 300 times.
            assert!((out - truth).abs() < 0.05 * (columns as f32).sqrt(), "{out}, not {truth}");
        }
    }

    #[test]
    fn zeros_and_nans_stay() {
        let mut zeros = Int8::new(&[0., 0., 1., -1.], 2);
        let mut out = [0.; 2];
        let mut multiply =
            |x: &[f32], out: &mut [f32]| with_team(1, 1, |team| zeros.add_product(team, x, out));
        multiply(&[0., 0.], &mut out);
        assert_eq!(out, [0., 0.]);
        multiply(&[2., 0.], &mut out);
        assert_eq!(out, [0., 2.]);
        multiply(&[f32::NAN, 0.], &mut out);
        assert!(out[1].is_nan());
    }
}
