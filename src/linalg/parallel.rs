//! How many threads the kernel may use.

use faer::Par;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 0 stands for "all cores".
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Products smaller than this many floating-point operations are not worth waking threads for.
const WORTH_THREADS: f64 = 2e7;

/// Limits the kernel to `n` threads; 0 means all cores. Results do not depend on the number except
/// in the last digits of estimates; certified enclosures hold for every number.
pub fn set_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
    faer::set_global_parallelism(if n == 1 { Par::Seq } else { Par::rayon(n) });
}

/// Parallelism for a product of the given number of floating-point operations.
pub(crate) fn for_work(flops: f64) -> Par {
    let threads = THREADS.load(Ordering::Relaxed);
    if threads == 1 || flops < WORTH_THREADS {
        Par::Seq
    } else {
        Par::rayon(threads)
    }
}
