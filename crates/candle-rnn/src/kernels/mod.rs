//! What the fast paths on the CPU are made of: vectors of numbers (`lanes`), what is multiplied
//! (`factor`), matrices as products read them (`packed`), products (`product`) and threads that share
//! one (`team`), activations (`activation`), sums (`dot`), the softmax (`softmax`), memory that is used
//! again (`buffer`), and the node of the autograd graph that a layer is (`op`).
//!
//! f32 runs in the widest vectors the processor has, chosen when the program runs; f64, which
//! exists for gradient checks, runs the same formulas on single numbers.

mod activation;
mod buffer;
pub(crate) mod dot;
mod factor;
mod lanes;
pub(crate) mod op;
mod packed;
mod product;
pub(crate) mod softmax;
mod team;

pub(crate) use activation::{Sigmoid, Tanh};
pub use buffer::Buffer;
pub use factor::MatmulPrecision;
pub use lanes::{Kernel, Lanes, Real, Vector, numbers, with_numbers};
pub use lanes::{bf16_instructions, instruction_set};
pub use packed::{Packed, Rows};
pub use product::{
    add_rows, add_transposed_product, affine, product, product_in_tiles, rows_of_a_block, sum_of_rows,
    transposed_product,
};
pub(crate) use team::{Team, with_team};

/// Whether these kernels take a tensor: f32 or f64 in main memory.
pub fn take(tensor: &candle_core::Tensor) -> bool {
    use candle_core::DType::{F32, F64};
    tensor.device().is_cpu() && matches!(tensor.dtype(), F32 | F64)
}
