//! How many threads the numerical kernel may use: one for each core unless [`set_threads`] is told otherwise.
//!
//! Results do not depend on the number, except in the last bits of estimates.
//!
//! ```
//! use isometer::linalg::{norms::two, parallel::set_threads, view::MatrixRef};
//!
//! set_threads(1);
//! let a = MatrixRef::row_major(&[3.0, 0.0, 4.0, 0.0], 2, 2).unwrap();
//! let (_, lo, hi) = two(&a).unwrap().to_linear().unwrap();
//! assert!(lo <= 5.0 && 5.0 <= hi); // proofs hold with any number of threads
//! ```

use faer::Par;

/// Lets faer and rayon use `threads` threads from now on; 0 means one for each core. Returns the
/// number in force, which is smaller or larger than asked for only when rayon's global pool had
/// already been built.
///
/// The calling thread is one of them: with `threads == 1` nothing is spawned, and every parallel
/// iterator run from this thread runs on it. Call it before any parallel work, from the thread
/// that will do the work.
pub fn set_threads(threads: usize) -> usize {
    // Fails only when the pool exists, and then its size is what is in force.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread()
        .build_global();
    let threads = rayon::current_num_threads();
    faer::set_global_parallelism(if threads == 1 {
        Par::Seq
    } else {
        Par::rayon(threads)
    });
    threads
}

/// Makes faer sequential without building a thread pool: right for inputs so small that starting
/// threads would cost more than the work.
pub fn set_sequential() {
    faer::set_global_parallelism(Par::Seq);
}

/// Products smaller than this many floating-point operations are not worth waking threads for.
const WORTH_THREADS: f64 = 2e7;

/// Parallelism for a product of the given number of floating-point operations.
pub(crate) fn for_work(flops: f64) -> Par {
    if flops < WORTH_THREADS {
        Par::Seq
    } else {
        faer::get_global_parallelism()
    }
}
