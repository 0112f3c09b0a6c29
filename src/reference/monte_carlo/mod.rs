//! Many networks, measured: the same numbers at any number of threads, progress, and an end at any
//! time.
//!
//! ```
//! use isometer::network::{Model, activation::Activation};
//! use isometer::reference::deferred::Deferred;
//! use isometer::reference::measure::{Quantity, Sampler};
//! use isometer::reference::monte_carlo::{Control, Measurement};
//!
//! // one linear layer 1 -> 1 and a readout: ln of products of squared normals
//! let mut model = Model::new(vec![1, 1], Activation::Linear);
//! model.weights = "gaussian:sigma_w2=1".parse().unwrap();
//! let sampler = Deferred::new(&model, 7).unwrap();
//! let mut found = Measurement::new(sampler.quantities());
//! found.extend(&sampler, 4000, &Control::default());
//! let ln = found.column(Quantity::Jvp).unwrap();
//! let mean = ln.iter().sum::<f64>() / 4000.0;
//! assert!((mean + 1.2703628454614782).abs() < 0.2); // E ln z^2 = -gamma - ln 2, deviation pi/sqrt 2
//! ```

mod looks;

pub use looks::{Look, looks};

use super::measure::{Quantity, Sampler};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Networks that one task draws: the unit of progress and of cancellation.
const BLOCK: u64 = 16;

/// How a run is watched and ended.
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    /// Called with (networks measured, networks in all), from any thread.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// Set it to end the run; blocks that are being measured are finished.
    pub cancel: Option<&'a AtomicBool>,
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("progress", &self.progress.is_some())
            .field("cancel", &self.cancel)
            .finish()
    }
}

impl Control<'_> {
    /// Whether the end was asked for.
    pub fn cancelled(&self) -> bool {
        self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// What was measured: logarithms of squared norms, by quantity, in the order of the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    quantities: Vec<Quantity>,
    columns: Vec<Vec<f64>>,
}

impl Measurement {
    /// Nothing yet.
    pub fn new(quantities: &[Quantity]) -> Measurement {
        Measurement {
            quantities: quantities.to_vec(),
            columns: vec![Vec::new(); quantities.len()],
        }
    }

    /// What was measured.
    pub fn quantities(&self) -> &[Quantity] {
        &self.quantities
    }

    /// Networks measured.
    pub fn samples(&self) -> u64 {
        self.columns.first().map_or(0, |c| c.len() as u64)
    }

    /// `ln` of a squared norm of every network, in the order of their indices.
    pub fn column(&self, quantity: Quantity) -> Option<&[f64]> {
        let at = self.quantities.iter().position(|q| *q == quantity)?;
        Some(&self.columns[at])
    }

    /// Measures further networks until there are `samples`; fewer where the run was cancelled.
    ///
    /// Sample `i` depends on the sampler and on `i` alone, and the values are put in the order of `i`, so
    /// that the result does not depend on the number of threads. After a cancellation the longest run of
    /// finished networks from the first on is kept: which ones they are does not depend on what
    /// was measured, so that they remain a fair sample.
    pub fn extend(&mut self, sampler: &dyn Sampler, samples: u64, control: &Control<'_>) {
        let width = self.quantities.len();
        let done = AtomicU64::new(self.samples());
        let wave = BLOCK * 8 * rayon::current_num_threads() as u64;
        while self.samples() < samples && !control.cancelled() {
            let from = self.samples();
            let to = samples.min(from + wave);
            let starts: Vec<u64> = (from..to).step_by(BLOCK as usize).collect();
            let blocks: Vec<Option<Vec<f64>>> = starts
                .into_par_iter()
                .with_max_len(1)
                .map(|start| {
                    if control.cancelled() {
                        return None;
                    }
                    let count = BLOCK.min(to - start);
                    let mut values = vec![f64::NAN; width * count as usize];
                    for (index, row) in (start..).zip(values.chunks_exact_mut(width)) {
                        sampler.sample(index, row);
                    }
                    let now = done.fetch_add(count, Ordering::Relaxed) + count;
                    if let Some(progress) = control.progress {
                        progress(now, samples);
                    }
                    Some(values)
                })
                .collect();
            for values in blocks.into_iter().map_while(|b| b) {
                for row in values.chunks_exact(width) {
                    for (column, x) in self.columns.iter_mut().zip(row) {
                        column.push(*x);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The index itself, and a slow one so that threads overtake each other.
    struct Counter;

    impl Sampler for Counter {
        fn quantities(&self) -> &[Quantity] {
            &[Quantity::Forward, Quantity::Jvp]
        }

        fn sample(&self, index: u64, out: &mut [f64]) {
            let mut x = index as f64 + 0.5;
            for _ in 0..(index * 7919) % 1000 {
                x = (x * x + 1.0).sqrt();
            }
            out[0] = index as f64;
            out[1] = x;
        }
    }

    fn run(threads: usize, steps: &[u64]) -> Measurement {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut m = Measurement::new(Counter.quantities());
            for &n in steps {
                m.extend(&Counter, n, &Control::default());
            }
            m
        })
    }

    #[test]
    fn results_are_bit_identical_at_any_number_of_threads_and_in_any_steps() {
        let one = run(1, &[1003]);
        assert_eq!(one.samples(), 1003);
        let order: Vec<f64> = (0..1003).map(f64::from).collect();
        assert_eq!(one.column(Quantity::Forward), Some(&order[..]));
        assert_eq!(one, run(2, &[1003]));
        assert_eq!(one, run(5, &[1, 130, 131, 1003]));
        assert_eq!(one.column(Quantity::InputGradient), None);
    }

    #[test]
    fn a_cancelled_run_keeps_a_prefix() {
        let cancel = AtomicBool::new(false);
        let stop = |done: u64, total: u64| {
            assert!(done <= total && total == 100_000);
            if done > 400 {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let control = Control {
            progress: Some(&stop),
            cancel: Some(&cancel),
        };
        let mut m = Measurement::new(Counter.quantities());
        m.extend(&Counter, 100_000, &control);
        assert!((1..50_000).contains(&m.samples()), "{}", m.samples());
        let order: Vec<f64> = (0..m.samples()).map(|i| i as f64).collect();
        assert_eq!(m.column(Quantity::Forward), Some(&order[..]));
        let before = m.samples();
        m.extend(&Counter, 100_000, &control);
        assert_eq!(m.samples(), before, "a cancelled run does not go on");
    }
}
