//! What the kernels need of a number: products of matrices and the gates' nonlinearities.
//!
//! f32 runs on `rten-gemm` and `rten-vecmath`; f64, which exists for gradient checks, on plain
//! loops.

use candle_core::{CpuStorage, Result, Storage, WithDType, bail};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_simd::SimdUnaryOp;
use rten_tensor::NdTensorView;
use rten_vecmath::{Sigmoid, Tanh};
use std::cell::RefCell;
use std::sync::LazyLock;

/// A matrix in a slice, by rows, or the transpose of one.
#[derive(Clone, Copy)]
pub(in crate::sequence) struct Matrix<'a, R> {
    data: &'a [R],
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a, R> Matrix<'a, R> {
    /// `rows × cols`, by rows.
    pub fn new(data: &'a [R], rows: usize, cols: usize) -> Self {
        debug_assert_eq!(data.len(), rows * cols);
        Self { data, rows, cols, transposed: false }
    }

    pub fn transposed(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }
}

/// f32 or f64.
pub(in crate::sequence) trait Real: WithDType {
    /// A right-hand matrix prepared for many products.
    type Packed: Send + Sync;

    /// Prepares `b` for [`Real::product_packed`].
    fn pack(b: Matrix<Self>) -> Self::Packed;
    /// `out += a b`
    fn product(out: &mut [Self], a: Matrix<Self>, b: Matrix<Self>);
    /// `out += a b`, `a` being `[rows, k]` by rows.
    fn product_packed(out: &mut [Self], a: &[Self], rows: usize, b: &Self::Packed);
    /// `x ← 1 / (1 + e^{−x})`
    fn sigmoid(xs: &mut [Self]);
    /// `x ← tanh(x)`
    fn tanh(xs: &mut [Self]);
    /// The elements of a CPU tensor.
    fn of_storage(storage: &Storage) -> Result<&[Self]>;
}

thread_local! {
    static GEMM: RefCell<GemmExecutor> = RefCell::new(GemmExecutor::new());
}

fn gemm(out: &mut [f32], a: NdTensorView<f32, 2>, b: GemmInputB<f32>) {
    let options = GemmOptions { beta: 1., ..Default::default() };
    GEMM.with_borrow(|gemm| gemm.gemm(out, GemmInputA::Unpacked(a), b, options))
        .expect("the shapes of a product agree");
}

fn view<'a>(m: Matrix<'a, f32>) -> NdTensorView<'a, f32, 2> {
    let view = NdTensorView::from_data([m.rows, m.cols], m.data);
    if m.transposed { view.transposed() } else { view }
}

impl Real for f32 {
    type Packed = PackedBMatrix<f32>;

    fn pack(b: Matrix<Self>) -> Self::Packed {
        GEMM.with_borrow(|gemm| gemm.prepack_b(view(b)))
    }

    fn product(out: &mut [Self], a: Matrix<Self>, b: Matrix<Self>) {
        gemm(out, view(a), GemmInputB::Unpacked(view(b)));
    }

    fn product_packed(out: &mut [Self], a: &[Self], rows: usize, b: &Self::Packed) {
        let a = NdTensorView::from_data([rows, b.rows()], a);
        gemm(out, a, GemmInputB::Packed(b));
    }

    fn sigmoid(xs: &mut [Self]) {
        Sigmoid {}.map_mut(xs);
    }

    fn tanh(xs: &mut [Self]) {
        Tanh {}.map_mut(xs);
    }

    fn of_storage(storage: &Storage) -> Result<&[Self]> {
        match storage {
            Storage::Cpu(CpuStorage::F32(data)) => Ok(data),
            _ => bail!("rnn-sequence: expected f32 on the CPU"),
        }
    }
}

impl Real for f64 {
    /// By columns.
    type Packed = (Vec<f64>, usize);

    fn pack(b: Matrix<Self>) -> Self::Packed {
        let (k, n) = if b.transposed { (b.cols, b.rows) } else { (b.rows, b.cols) };
        let columns = match b.transposed {
            true => b.data.to_vec(),
            false => (0..n).flat_map(|j| (0..k).map(move |i| b.data[i * n + j])).collect(),
        };
        (columns, k)
    }

    fn product(out: &mut [Self], a: Matrix<Self>, b: Matrix<Self>) {
        let packed = Self::pack(b);
        if a.transposed {
            // The packed columns of Aᵀ as a right-hand matrix are the rows of A.
            let (rows, _) = Self::pack(Matrix { transposed: false, ..a });
            Self::product_packed(out, &rows, a.cols, &packed);
        } else {
            Self::product_packed(out, a.data, a.rows, &packed);
        }
    }

    fn product_packed(out: &mut [Self], a: &[Self], rows: usize, (columns, k): &Self::Packed) {
        if rows == 0 || *k == 0 {
            return;
        }
        let n = columns.len() / k;
        for (out, a) in out.chunks_mut(n).zip(a.chunks(*k)) {
            for (out, column) in out.iter_mut().zip(columns.chunks(*k)) {
                *out += a.iter().zip(column).map(|(a, b)| a * b).sum::<f64>();
            }
        }
    }

    fn sigmoid(xs: &mut [Self]) {
        xs.iter_mut().for_each(|x| *x = 1. / (1. + (-*x).exp()));
    }

    fn tanh(xs: &mut [Self]) {
        xs.iter_mut().for_each(|x| *x = x.tanh());
    }

    fn of_storage(storage: &Storage) -> Result<&[Self]> {
        match storage {
            Storage::Cpu(CpuStorage::F64(data)) => Ok(data),
            _ => bail!("rnn-sequence: expected f64 on the CPU"),
        }
    }
}

/// Pools of one thread: the products inside a walk must not spread over the other threads, which
/// are busy with walks of their own.
static WALKERS: LazyLock<Vec<ThreadPool>> = LazyLock::new(|| {
    let pools = (0..rayon::current_num_threads()).map(|_| ThreadPoolBuilder::new().num_threads(1).build());
    pools.filter_map(std::result::Result::ok).collect()
});

/// Number of threads over which the rows of a batch are spread.
pub(super) fn threads() -> usize {
    WALKERS.len().max(1)
}

/// `f` of every item, at most [`threads`] of them, each on a thread of its own; results in order.
///
/// A single item with products large enough to share (`spread`) stays on the calling thread, where
/// they may use all threads; handing out small ones would cost more than it saves.
pub(super) fn on_each<T: Send, S: Send>(items: Vec<T>, spread: bool, f: impl Fn(T) -> S + Sync) -> Vec<S> {
    if items.len() == 1 {
        let run = || items.into_iter().map(&f).collect();
        return match WALKERS.first() {
            Some(alone) if !spread => alone.install(run),
            _ => run(),
        };
    }
    let f = &f;
    std::thread::scope(|scope| {
        let walks = items.into_iter().zip(WALKERS.iter());
        let threads: Vec<_> =
            walks.map(|(item, pool)| scope.spawn(move || pool.install(|| f(item)))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}
