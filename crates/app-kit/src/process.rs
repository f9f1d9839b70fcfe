//! How the process treats memory and waiting threads: what suits a training.

/// Settings for the whole process; [`run`](crate::run) makes them first of all.
///
/// - A training step asks for the same large pieces of memory again and again. glibc gives them
///   back to the system each time, which then has to clear every page anew; in a step of a 2×512
///   LSTM that took a tenth of the time. Here pieces of up to 32 MB stay with the process.
/// - candle's threads wait for their next piece of work by spinning, on cores where recurrent
///   layers compute meanwhile. Here they wait a hundredth as long before they sleep, unless the
///   environment says otherwise.
///
/// # Safety
/// Call it first of all in `main`: no other thread may be running.
pub unsafe fn prepare() {
    keep_memory();
    const SPIN_LIMIT: &str = "CANDLE_BARRIER_POOL_SPIN_LIMIT";
    if std::env::var_os(SPIN_LIMIT).is_none() {
        // Safety: the caller's; no other thread reads the environment.
        unsafe { std::env::set_var(SPIN_LIMIT, "250") };
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_memory() {
    /// The largest that glibc allows; larger pieces are mapped each on its own.
    const MAPPED_FROM: libc::c_int = 32 << 20;
    const TRIMMED_FROM: libc::c_int = 1 << 30;
    // Safety: these calls only set two numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIMMED_FROM);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_memory() {}
