//! Vectors of numbers, so that a formula is written once and runs on whatever the processor has.

use std::ops::{Add, Mul, Range, Sub};

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType, bail};
use rten_simd::ops::{BitOps, IntOps, NumOps};
use rten_simd::{Isa, Simd as _, SimdOp, SimdUnaryOp};
use rten_vecmath::{Exp, Sigmoid, Tanh};

use super::buffer::Pooled;
use super::factor::Pair;

/// Numbers side by side; arithmetic is element by element.
pub trait Vector: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// `self · b + c`, rounded once where the processor can.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `1 / (1 + e^{−x})`
    fn sigmoid(self) -> Self;
    /// `tanh(x)`
    fn tanh(self) -> Self;
    /// `e^x`
    fn exp(self) -> Self;
    /// The larger of each pair; of a pair with a NaN, either.
    fn max(self, other: Self) -> Self;
    /// `max(x, 0)`; NaN stays NaN.
    fn relu(self) -> Self;
    /// This where `x` is above zero, and zero where it is not.
    fn where_positive(self, x: Self) -> Self;
}

/// An instruction set: how vectors are made of numbers in memory.
pub trait Lanes: Copy {
    type Real: Real;
    type Vector: Vector;

    /// Numbers in a vector.
    fn width(self) -> usize;
    /// The same number everywhere.
    fn splat(self, x: Self::Real) -> Self::Vector;
    /// The first numbers of `xs`; what is missing is zero.
    fn load(self, xs: &[Self::Real]) -> Self::Vector;
    /// Writes as many numbers as `xs` takes.
    fn store(self, x: Self::Vector, xs: &mut [Self::Real]);
    /// [`load`](Lanes::load) of a whole vector.
    ///
    /// # Safety
    /// [`width`](Lanes::width) numbers can be read at `xs`.
    unsafe fn load_at(self, xs: *const Self::Real) -> Self::Vector;

    /// Vectors of pairs.
    type Pairs: Copy;
    /// The same pair everywhere.
    fn splat_pair(self, x: Pair) -> Self::Pairs;
    /// As many pairs as there are numbers in a vector.
    ///
    /// # Safety
    /// [`width`](Lanes::width) pairs can be read at `xs`.
    unsafe fn load_pairs(self, xs: *const Pair) -> Self::Pairs;
    /// `sum + a₀ b₀ + a₁ b₁` for each two pairs.
    fn add_dot(self, a: Self::Pairs, b: Self::Pairs, sum: Self::Vector) -> Self::Vector;

    /// Asks for `xs` to be brought near, for later use.
    fn prefetch<T>(self, xs: &[T]);

    /// `0..len` in pieces of a vector.
    #[inline(always)]
    fn pieces(self, len: usize) -> impl Iterator<Item = Range<usize>> {
        let width = self.width();
        (0..len).step_by(width).map(move |from| from..(from + width).min(len))
    }
}

/// Work written for any instruction set. Mark `run` `#[inline(always)]`, or it is compiled for
/// the oldest processor.
pub trait Kernel<R> {
    type Output;
    fn run<L: Lanes<Real = R>>(self, lanes: L) -> Self::Output;
}

/// f32 or f64.
pub trait Real: WithDType + Default + Pooled {
    /// Runs `kernel` on the best instruction set for these numbers.
    fn dispatch<K: Kernel<Self>>(kernel: K) -> K::Output;
    /// Runs `kernel` on the best instruction set for pairs of bf16.
    fn dispatch_pairs<K: Kernel<Self>>(kernel: K) -> K::Output;
    /// To the nearest f32.
    fn to_f32(self) -> f32;
}

/// The numbers of a contiguous tensor in main memory.
///
/// # Errors
/// When it is of another type or not contiguous.
pub fn numbers<'a, R: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [R]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&R::cpu_storage_as_slice(storage)?[from..to]),
        None => bail!("a kernel needs contiguous tensors"),
    }
}

/// `f` of the numbers of a tensor.
///
/// # Errors
/// When it is not in main memory or of another type.
pub fn with_numbers<R: Real, T>(tensor: &Tensor, f: impl FnOnce(&[R]) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(numbers(storage, layout)?)),
        _ => bail!("a kernel needs tensors in main memory"),
    }
}

impl Real for f32 {
    fn dispatch<K: Kernel<f32>>(kernel: K) -> K::Output {
        Dispatched(kernel).dispatch()
    }

    fn dispatch_pairs<K: Kernel<f32>>(kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        if let Some(isa) = bf16::instructions() {
            // Safety: the processor has them.
            return unsafe { bf16::run(kernel, isa) };
        }
        Self::dispatch(kernel)
    }

    fn to_f32(self) -> f32 {
        self
    }
}

impl Real for f64 {
    fn dispatch<K: Kernel<f64>>(kernel: K) -> K::Output {
        kernel.run(Scalar)
    }

    fn dispatch_pairs<K: Kernel<f64>>(kernel: K) -> K::Output {
        kernel.run(Scalar)
    }

    fn to_f32(self) -> f32 {
        self as f32
    }
}

/// AVX512-BF16, whose one instruction multiplies two pairs and adds both products.
#[cfg(target_arch = "x86_64")]
mod bf16 {
    use std::arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps};
    use std::mem::transmute_copy;
    use std::sync::OnceLock;

    use rten_simd::Isa;
    use rten_simd::isa::Avx512Isa;

    use super::{Kernel, Simd};

    /// The instruction set, if the processor has it.
    pub fn instructions() -> Option<Avx512Isa> {
        static ISA: OnceLock<Option<Avx512Isa>> = OnceLock::new();
        *ISA.get_or_init(|| Avx512Isa::new().filter(|_| is_x86_feature_detected!("avx512bf16")))
    }

    /// # Safety
    /// The processor has the instructions.
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16")]
    pub unsafe fn run<K: Kernel<f32>>(kernel: K, isa: Avx512Isa) -> K::Output {
        // Safety: the caller's.
        kernel.run(unsafe { Simd::with_bf16(isa) })
    }

    /// # Safety
    /// The processor has the instructions, and `I` is [`Avx512Isa`].
    #[inline(always)]
    pub unsafe fn add_dot<I: Isa>(a: I::I32, b: I::I32, sum: I::F32) -> I::F32 {
        assert!(size_of::<I::F32>() == size_of::<__m512>() && size_of::<I::I32>() == size_of::<__m512>());
        // Safety: each is 64 bytes, in which the bits are the same.
        unsafe {
            let (a, b) = (transmute_copy::<_, __m512bh>(&a), transmute_copy::<_, __m512bh>(&b));
            transmute_copy(&_mm512_dpbf16_ps(transmute_copy(&sum), a, b))
        }
    }
}

struct Dispatched<K>(K);

impl<K: Kernel<f32>> SimdOp for Dispatched<K> {
    type Output = K::Output;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> K::Output {
        self.0.run(Simd::new(isa))
    }
}

/// f32 in the vectors of an instruction set, and whether it has one for pairs of bf16.
#[derive(Clone, Copy)]
pub(super) struct Simd<I, const BF16: bool>(I);

impl<I> Simd<I, false> {
    pub fn new(isa: I) -> Self {
        Self(isa)
    }
}

impl<I> Simd<I, true> {
    /// # Safety
    /// `I` is AVX-512, and the processor has AVX512-BF16.
    #[cfg(target_arch = "x86_64")]
    unsafe fn with_bf16(isa: I) -> Self {
        Self(isa)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SimdVector<I: Isa> {
    isa: I,
    x: I::F32,
}

impl<I: Isa, const BF16: bool> Lanes for Simd<I, BF16> {
    type Real = f32;
    type Vector = SimdVector<I>;
    type Pairs = I::I32;

    #[inline(always)]
    fn width(self) -> usize {
        self.0.f32().len()
    }

    #[inline(always)]
    fn splat(self, x: f32) -> SimdVector<I> {
        SimdVector { isa: self.0, x: self.0.f32().splat(x) }
    }

    #[inline(always)]
    fn load(self, xs: &[f32]) -> SimdVector<I> {
        let ops = self.0.f32();
        let x = if xs.len() >= ops.len() { ops.load(xs) } else { ops.load_pad(xs).0 };
        SimdVector { isa: self.0, x }
    }

    #[inline(always)]
    fn store(self, x: SimdVector<I>, xs: &mut [f32]) {
        let ops = self.0.f32();
        if xs.len() >= ops.len() {
            ops.store(x.x, xs);
        } else {
            // Safety: the mask is true for the first `xs.len()` lanes only.
            unsafe { ops.store_ptr_mask(x.x, xs.as_mut_ptr(), ops.first_n_mask(xs.len())) };
        }
    }

    #[inline(always)]
    unsafe fn load_at(self, xs: *const f32) -> SimdVector<I> {
        // Safety: the caller's.
        SimdVector { isa: self.0, x: unsafe { self.0.f32().load_ptr(xs) } }
    }

    #[inline(always)]
    fn splat_pair(self, x: Pair) -> I::I32 {
        self.0.i32().splat(x.bits())
    }

    #[inline(always)]
    unsafe fn load_pairs(self, xs: *const Pair) -> I::I32 {
        // Safety: the caller's.
        unsafe { self.0.i32().load_ptr(xs.cast()) }
    }

    #[inline(always)]
    fn add_dot(self, a: I::I32, b: I::I32, sum: SimdVector<I>) -> SimdVector<I> {
        #[cfg(target_arch = "x86_64")]
        if BF16 {
            // Safety: `with_bf16` was promised as much.
            return SimdVector { isa: self.0, x: unsafe { bf16::add_dot::<I>(a, b, sum.x) } };
        }
        // bf16 is the upper half of an f32.
        let ints = self.0.i32();
        let second = |x: I::I32| SimdVector::<I> {
            isa: self.0,
            x: ints.and(x, ints.splat(0xffff_0000_u32 as i32)).reinterpret_cast(),
        };
        let first =
            |x: I::I32| SimdVector::<I> { isa: self.0, x: ints.shift_left::<16>(x).reinterpret_cast() };
        second(a).mul_add(second(b), first(a).mul_add(first(b), sum))
    }

    #[inline(always)]
    fn prefetch<T>(self, xs: &[T]) {
        const LINE: usize = 64;
        xs.chunks(LINE / size_of::<T>()).for_each(|line| self.0.f32().prefetch(line.as_ptr().cast()));
    }
}

impl<I: Isa> Vector for SimdVector<I> {
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Self { isa: self.isa, x: self.isa.f32().mul_add(self.x, b.x, c.x) }
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self { isa: self.isa, x: Sigmoid::apply(self.isa, self.x) }
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        Self { isa: self.isa, x: Tanh::apply(self.isa, self.x) }
    }

    #[inline(always)]
    fn exp(self) -> Self {
        Self { isa: self.isa, x: Exp::apply(self.isa, self.x) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self { isa: self.isa, x: self.isa.f32().max(self.x, other.x) }
    }

    #[inline(always)]
    fn relu(self) -> Self {
        let ops = self.isa.f32();
        // `x < 0` rather than `x > 0` decides: it is false for a NaN.
        Self { isa: self.isa, x: ops.select(ops.zero(), self.x, ops.lt(self.x, ops.zero())) }
    }

    #[inline(always)]
    fn where_positive(self, x: Self) -> Self {
        let ops = self.isa.f32();
        Self { isa: self.isa, x: ops.select(self.x, ops.zero(), ops.gt(x.x, ops.zero())) }
    }
}

impl<I: Isa> Add for SimdVector<I> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { isa: self.isa, x: self.isa.f32().add(self.x, other.x) }
    }
}

impl<I: Isa> Sub for SimdVector<I> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { isa: self.isa, x: self.isa.f32().sub(self.x, other.x) }
    }
}

impl<I: Isa> Mul for SimdVector<I> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self { isa: self.isa, x: self.isa.f32().mul(self.x, other.x) }
    }
}

/// f64, one at a time.
#[derive(Clone, Copy)]
struct Scalar;

impl Lanes for Scalar {
    type Real = f64;
    type Vector = f64;
    type Pairs = Pair;

    fn width(self) -> usize {
        1
    }

    fn splat(self, x: f64) -> f64 {
        x
    }

    fn load(self, xs: &[f64]) -> f64 {
        xs[0]
    }

    fn store(self, x: f64, xs: &mut [f64]) {
        xs[0] = x;
    }

    unsafe fn load_at(self, xs: *const f64) -> f64 {
        // Safety: the caller's.
        unsafe { *xs }
    }

    fn splat_pair(self, x: Pair) -> Pair {
        x
    }

    unsafe fn load_pairs(self, xs: *const Pair) -> Pair {
        // Safety: the caller's.
        unsafe { *xs }
    }

    fn add_dot(self, a: Pair, b: Pair, sum: f64) -> f64 {
        let ((a0, a1), (b0, b1)) = (a.numbers(), b.numbers());
        sum + f64::from(a0) * f64::from(b0) + f64::from(a1) * f64::from(b1)
    }

    fn prefetch<T>(self, _: &[T]) {}
}

impl Vector for f64 {
    fn mul_add(self, b: f64, c: f64) -> f64 {
        // Without the instruction, `f64::mul_add` is a slow function.
        self * b + c
    }

    fn sigmoid(self) -> f64 {
        1. / (1. + (-self).exp())
    }

    fn tanh(self) -> f64 {
        f64::tanh(self)
    }

    fn exp(self) -> f64 {
        f64::exp(self)
    }

    fn max(self, other: f64) -> f64 {
        f64::max(self, other)
    }

    fn relu(self) -> f64 {
        if self < 0. { 0. } else { self }
    }

    fn where_positive(self, x: f64) -> f64 {
        if x > 0. { self } else { 0. }
    }
}

/// Whether the processor has instructions for products of bf16: without them
/// [`MatmulPrecision::Bf16`](super::MatmulPrecision::Bf16) is no faster than full precision.
pub fn bf16_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    let found = bf16::instructions().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    let found = false;
    found
}

/// The instruction set that f32 kernels run on here, for people to read.
pub fn instruction_set() -> &'static str {
    struct Width;
    impl Kernel<f32> for Width {
        type Output = usize;

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> usize {
            lanes.width()
        }
    }
    match (std::env::consts::ARCH, f32::dispatch(Width)) {
        ("x86_64", 16) if bf16_instructions() => "AVX-512, 16 numbers or 32 of bf16 at a time",
        ("x86_64", 16) => "AVX-512, 16 numbers at a time",
        ("x86_64", 8) => "AVX2 and FMA, 8 numbers at a time",
        ("aarch64", _) => "NEON, 4 numbers at a time",
        ("wasm32", _) => "WebAssembly SIMD, 4 numbers at a time",
        _ => "portable code, 4 numbers at a time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every operation on `xs`, element by element.
    struct Operations<'a, R>(&'a [R], &'a mut Vec<[R; 6]>);

    impl<R: Real> Kernel<R> for Operations<'_, R> {
        type Output = ();

        #[inline(always)]
        fn run<L: Lanes<Real = R>>(self, l: L) {
            let Self(xs, out) = self;
            for piece in l.pieces(xs.len()) {
                let x = l.load(&xs[piece.clone()]);
                let one = l.splat(R::one());
                let combined = x.mul_add(x, one) - x * (one + x);
                let results = [x.sigmoid(), x.tanh(), x.relu(), combined, x * x, one.where_positive(x)];
                for (lane, i) in piece.clone().enumerate() {
                    out[i] = results.map(|result| {
                        let mut numbers = vec![R::zero(); piece.len()];
                        l.store(result, &mut numbers);
                        numbers[lane]
                    });
                }
            }
        }
    }

    #[test]
    fn vectors_compute_what_single_numbers_do_whatever_the_length() {
        for length in [1, 3, 16, 17, 40] {
            let xs: Vec<f64> = (0..length).map(|i| (f64::from(i) - 9.) / 3.).collect();
            let mut exact = vec![[0.; 6]; xs.len()];
            f64::dispatch(Operations(&xs, &mut exact));
            let single: Vec<f32> = xs.iter().map(|&x| x as f32).collect();
            let mut vectors = vec![[0.; 6]; xs.len()];
            f32::dispatch(Operations(&single, &mut vectors));
            for (exact, vectors) in exact.as_flattened().iter().zip(vectors.as_flattened()) {
                assert!((exact - f64::from(*vectors)).abs() < 1e-5, "{exact} {vectors}");
            }
        }
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let mut out = vec![[0.; 6]];
        f32::dispatch(Operations(&[f32::NAN], &mut out));
        assert!(out[0][..5].iter().all(|x| x.is_nan()), "{out:?}");
    }

    #[test]
    fn the_instruction_set_is_named() {
        assert!(instruction_set().contains("at a time"));
    }
}
