//! Certified enclosures of the extreme singular values: the ladder.
//!
//! | rung | proof | cost (flops) | reach |
//! |---|---|---|---|
//! | structure | read off the entries | O(mn) | exact |
//! | `gram` | deflated Cholesky gap, Kato-Temple | mn^2 + n^3 | kappa^2 u n < 1 |
//! | `factor` | approximate inverse factor, Kato-Temple | 3mn^2 + 2n^3 | kappa u n^1.5 < 1 |
//! | `doubledouble` | the same in 106 bits | about 100 mn^2 | kappa to 1e27 |
//! | exact | rational arithmetic | small or sparse-valued matrices | any kappa |
//!
//! Every rung returns an interval that is true whether or not the next one is climbed; intervals
//! are intersected. What no rung can bound below is reported with `lo = 0`.
//!
//! All proofs assume IEEE arithmetic rounded to nearest without flush-to-zero, which Rust
//! guarantees on its supported platforms, and conventional matrix products (`dense`).

mod count;
pub mod doubledouble;
pub mod factor;
pub mod gram;
pub mod inverse;
pub mod temple;

use super::dense;
use super::exact::{IntegerMatrix, InverseError, RoundedInverse};
use super::extended::DdVec;
use super::rounding::{down, gamma, sqrt_down, sqrt_up, up};
use super::structure::{Structure, structure};
use super::view::MatrixRef;
use crate::scale::Enclosure;
use faer::Mat;
use gram::{Limits, Problem};
use std::fmt;

/// How a result was reached: the rung of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read off the matrix: zero, one row or column, or at most one non-zero per row and column.
    Structure,
    /// Cholesky proof on the Gram matrix, sharpened by Kato-Temple.
    Gram,
    /// Approximate inverse factor in double precision.
    InverseFactor,
    /// Approximate inverse factor in double-double.
    DoubleDouble,
    /// Exact rational arithmetic.
    Rational,
    /// Lanczos and inverse Lanczos, not proved.
    Lanczos,
    /// Full singular value decomposition, not proved.
    Svd,
    /// Eigenvalues of the Gram matrix, not proved.
    GramEigenvalues,
    /// Cholesky proofs at every frequency of a torus.
    TorusCholesky,
    /// A decomposition at every frequency of a torus, not proved.
    TorusSvd,
    /// A larger torus from above, a vector from below.
    TorusEmbedding,
}

impl Method {
    /// The word used in JSON and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Structure => "structure",
            Method::Gram => "gram-kato-temple",
            Method::InverseFactor => "inverse-factor",
            Method::DoubleDouble => "double-double",
            Method::Rational => "exact-rational",
            Method::Lanczos => "lanczos",
            Method::Svd => "svd",
            Method::GramEigenvalues => "gram-eigenvalues",
            Method::TorusCholesky => "torus-cholesky",
            Method::TorusSvd => "torus-svd",
            Method::TorusEmbedding => "torus-embedding",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Relative width below which an enclosure is not worth another rung.
const NARROW: f64 = 1e-10;

/// Largest `m n^2` for which the double-double rung is climbed: some seconds on one core.
const DOUBLE_DOUBLE_WORK: f64 = 4e8;

/// Relative width above which exact arithmetic is tried where it is affordable.
const WIDE: f64 = 1e-9;

/// Limits of the smallest singular value of a scaled matrix, and how they were proved.
struct Extremes {
    smallest: Limits,
    /// Best guess, inside the limits.
    value: f64,
    /// The rung that gave the limits.
    method: Method,
    /// Lower limit of every other singular value (other than a copy in an embedding).
    second: f64,
}

fn width(l: &Limits) -> f64 {
    if l.hi == l.lo {
        0.0
    } else {
        (l.hi - l.lo) / l.lo
    }
}

/// Word operations allowed for a proof of rank: about a quarter of a second.
const RANK_BUDGET: u64 = 150_000_000;

/// Word operations allowed for an exact inverse: some seconds.
const INVERSE_BUDGET: u64 = 2_000_000_000;

/// What is proved about a stored matrix.
pub struct Certified {
    /// Largest singular value.
    pub largest: Enclosure,
    /// Smallest of the `min(rows, cols)` singular values.
    pub smallest: Enclosure,
    /// The rung that decided.
    pub method: Method,
    /// The rank, where it is proved.
    pub rank: Option<usize>,
    /// Lower limit of `sigma_{n-1} / sigma_1`, where a gap was proved on the way; 0 otherwise.
    pub second: f64,
    /// Why the matrix is singular or what could not be proved.
    pub remark: Option<String>,
}

/// Proves what can be proved about the extreme singular values of a finite, non-empty matrix;
/// `w` is the same matrix times `2^-exponent`, with `rounded` entries that underflowed in scaling.
pub fn certify(a: &MatrixRef<'_>, w: &Problem, exponent: i64, rounded: usize) -> Certified {
    let n = a.rows().min(a.cols());
    let found = structure(a);
    let point = |x: f64| Enclosure::point(x, 0).unwrap_or(Enclosure::ZERO);
    let settled = |largest, smallest, rank: usize| Certified {
        largest,
        smallest,
        method: Method::Structure,
        rank: Some(rank),
        second: 0.0,
        remark: (rank < n).then(|| format!("exactly singular: {found}")),
    };
    match found {
        Structure::Zero => return settled(Enclosure::ZERO, Enclosure::ZERO, 0),
        Structure::Vector { norm } => return settled(norm, norm, 1),
        Structure::GeneralizedDiagonal {
            largest,
            smallest,
            rank,
        } => {
            return settled(point(largest), point(smallest), rank);
        }
        _ => {}
    }
    let enclose = |l: Limits, value: f64| stored(l, value, exponent, rounded);
    let g = w.gram();
    let top = gram::certify_top(w, &g);
    let largest = Limits {
        lo: sqrt_down(top.largest.lo),
        hi: sqrt_up(top.largest.hi),
    };
    let largest = enclose(largest, middle(&largest));
    let singular = |method, rank, remark| Certified {
        largest,
        smallest: Enclosure::ZERO,
        method,
        rank,
        second: 0.0,
        remark: Some(remark),
    };
    if found.is_singular() {
        let rank = match found {
            Structure::StructurallySingular { .. } | Structure::None => None,
            _ => exact_rank(a),
        };
        return singular(
            Method::Structure,
            rank,
            format!("exactly singular: {found}"),
        );
    }
    let mut ladder = Ladder {
        problem: w,
        out: Extremes {
            smallest: Limits {
                lo: 0.0,
                hi: sqrt_up(top.largest.hi),
            },
            value: 0.0,
            method: Method::Gram,
            second: 0.0,
        },
    };
    let mut rank = None;
    let mut remark = None;
    if !ladder.climb_gram(&g) {
        drop(g);
        let mut l = dense::qr_factor_lower(w.a.as_ref());
        if !ladder.climb_factor(&l) {
            if ladder.out.smallest.lo <= moved(rounded) {
                rank = exact_rank(a);
                if let Some(r) = rank.filter(|&r| r < n) {
                    let why =
                        format!("exactly singular: rank {r} of {n}, proved by exact elimination");
                    return singular(Method::Rational, rank, why);
                }
            }
            let narrow = ladder.climb_double_double(&l);
            if !narrow && (width(&ladder.out.smallest) > WIDE || rounded > 0) {
                match exact_smallest(a) {
                    Ok(smallest) => {
                        return Certified {
                            largest,
                            smallest,
                            method: Method::Rational,
                            rank: Some(n),
                            second: 0.0,
                            remark: None,
                        };
                    }
                    Err(InverseError::Singular { .. }) => {
                        let why = "exactly singular: the determinant is zero, proved by exact elimination";
                        return singular(Method::Rational, rank, why.into());
                    }
                    Err(InverseError::TooMuchWork(_) | InverseError::NotSquare { .. }) => {}
                }
            }
            if ladder.out.smallest.lo == 0.0 {
                upper_from_vector(w, &mut l, &mut ladder.out);
                remark = Some(match rank {
                    Some(_) => "nonsingular, proved by exact elimination, but no positive lower bound of sigma_min could be proved".to_string(),
                    None => "no positive lower bound of sigma_min could be proved: singular to working precision".to_string(),
                });
            }
        }
    }
    let smallest = enclose(ladder.out.smallest, ladder.out.value);
    if smallest.is_positive() {
        rank = Some(n);
    }
    Certified {
        largest,
        smallest,
        method: ladder.out.method,
        rank,
        second: down(ladder.out.second / sqrt_up(top.largest.hi)),
        remark,
    }
}

/// Bound of the 1-, infinity-, Frobenius and 2-norm of what `rounded` parts of entries lost by
/// underflow in scaling, `2^-1075` each and twice that many in an embedding.
/// Theorem: singular-value-perturbation.
pub fn moved(rounded: usize) -> f64 {
    if rounded == 0 {
        0.0
    } else {
        up(rounded as f64 * 5e-324)
    }
}

/// Limits of a singular value of the scaled matrix as limits of one of the stored matrix: singular
/// values move by no more than the norm of what scaling took away.
fn stored(l: Limits, value: f64, exponent: i64, rounded: usize) -> Enclosure {
    let moved = moved(rounded);
    let (lo, hi) = if moved == 0.0 {
        (l.lo, l.hi)
    } else {
        (down(l.lo - moved), up(l.hi + moved))
    };
    Enclosure::new(value, lo, hi, exponent).unwrap_or(Enclosure::UNKNOWN)
}

/// Enclosure of the largest singular value alone; see [`certify`].
pub fn largest(w: &Problem, exponent: i64, rounded: usize) -> Enclosure {
    let top = gram::certify_top(w, &w.gram()).largest;
    let limits = Limits {
        lo: sqrt_down(top.lo),
        hi: sqrt_up(top.hi),
    };
    stored(limits, middle(&limits), exponent, rounded)
}

/// The rank by elimination modulo primes, when that is affordable.
fn exact_rank(a: &MatrixRef<'_>) -> Option<usize> {
    IntegerMatrix::new(a).ok()?.rank(RANK_BUDGET).ok()
}

/// The smallest singular value through the exact inverse of the matrix or of its Gram matrix.
fn exact_smallest(a: &MatrixRef<'_>) -> Result<Enclosure, InverseError> {
    let too_much = InverseError::NotSquare {
        rows: a.rows(),
        cols: a.cols(),
    };
    let tall = if a.rows() >= a.cols() {
        *a
    } else {
        a.transposed()
    };
    let integers = IntegerMatrix::new(&tall).map_err(|_| too_much)?;
    let square = tall.rows() == tall.cols();
    let inverse = if square {
        integers.inverse(INVERSE_BUDGET)?
    } else {
        integers.gram().inverse(INVERSE_BUDGET)?
    };
    let norm = top_of_inverse(&inverse.rounded()).ok_or(too_much)?;
    let one = Enclosure::point(1.0, 0).unwrap_or(Enclosure::ZERO);
    let s = one.ratio(&norm);
    Ok(if square { s } else { s.sqrt() })
}

/// Enclosure of the 2-norm of an exactly computed, rounded inverse.
fn top_of_inverse(r: &RoundedInverse) -> Option<Enclosure> {
    let n = r.order;
    let mut x = Mat::from_fn(n, n, |i, j| r.entries[i * n + j]);
    let shift = factor::scale_to_unit(&mut x)?;
    let p = Problem::new(x, r.multiplicity);
    let top = gram::certify_top(&p, &p.gram());
    let absolute = crate::scale::ldexp_up(r.absolute_error, -shift);
    let off = up(r.relative_error * p.frobenius + n as f64 * absolute + 1e-300);
    let lo = (sqrt_down(top.largest.lo) - off).next_down();
    let hi = (sqrt_up(top.largest.hi) + off).next_up();
    Enclosure::new(middle(&Limits { lo, hi }), lo, hi, shift + r.exponent)
}

/// The state of the climb: the best proved limits so far.
struct Ladder<'a> {
    problem: &'a Problem,
    out: Extremes,
}

impl Ladder<'_> {
    fn narrow(&self) -> bool {
        width(&self.out.smallest) <= NARROW
    }

    fn climb_gram(&mut self, g: &gram::Gram) -> bool {
        if let Some(b) = gram::certify_bottom(self.problem, g) {
            let limits = Limits {
                lo: sqrt_down(b.smallest.lo),
                hi: sqrt_up(b.smallest.hi),
            };
            self.out.improve(limits, Method::Gram);
            self.out.second = self.out.second.max(sqrt_down(b.second));
        }
        self.narrow()
    }

    fn climb_factor(&mut self, l: &Mat<f64>) -> bool {
        if let Some(s) = factor::certify_smallest(self.problem, l) {
            self.out.improve(s.sigma, Method::InverseFactor);
            self.out.second = self.out.second.max(s.second);
        }
        self.narrow()
    }

    fn climb_double_double(&mut self, l: &Mat<f64>) -> bool {
        let p = self.problem;
        let work = p.a.nrows() as f64 * (p.order() as f64).powi(2);
        if work > DOUBLE_DOUBLE_WORK {
            return false;
        }
        if let Some(s) = doubledouble::certify_smallest(p) {
            self.out.improve(s.sigma, Method::DoubleDouble);
            self.out.second = self.out.second.max(s.second);
            if !self.narrow() {
                // a cluster at the bottom has no gap to use; elsewhere the gap is now proved
                let sharp = factor::sharpen(p, l, s);
                self.out.improve(sharp.sigma, Method::DoubleDouble);
            }
        }
        self.narrow()
    }
}

impl Extremes {
    /// Intersects the limits of the smallest singular value with another proved interval.
    fn improve(&mut self, with: Limits, method: Method) {
        let narrower = self.smallest.lo == 0.0 || width(&with) < width(&self.smallest);
        if narrower {
            self.method = method;
            self.value = middle(&with);
        }
        self.smallest.lo = self.smallest.lo.max(with.lo);
        self.smallest.hi = self.smallest.hi.min(with.hi);
        self.value = self.value.clamp(self.smallest.lo, self.smallest.hi);
    }
}

fn middle(l: &Limits) -> f64 {
    l.lo + 0.5 * (l.hi - l.lo)
}

/// `sigma_min <= |Av|/|v|` for the vector that inverse iteration suggests.
fn upper_from_vector(p: &Problem, l: &mut Mat<f64>, out: &mut Extremes) {
    let n = p.order();
    // pivots at rounding level would overflow the solves; any floor will do for a suggestion
    let floor = 1e-18 * p.frobenius;
    for i in 0..n {
        if !(l[(i, i)].abs() >= floor) {
            l[(i, i)] = floor;
        }
    }
    let mut best = f64::INFINITY;
    if let Some(ritz) = gram::smallest_ritz(l, 1e-10)
        && let Some(q) = temple::quotient(&p.a, &DdVec::from_f64(ritz.vector), p.frobenius)
    {
        best = sqrt_up(q.rho_hi);
    }
    // squares below 2^-1075 are lost, one for each entry of a column
    let underflow = 1e-160 * (p.a.nrows() as f64).sqrt();
    // the shortest column is another vector, and an exact zero one where a column vanishes
    for j in 0..n {
        let c = p.a.col_as_slice(j);
        if c.iter().all(|&x| x == 0.0) {
            best = 0.0;
        }
        best = best.min(up(dense::norm2(c) * (1.0 + gamma(c.len() + 2)) + underflow));
    }
    out.smallest.hi = out.smallest.hi.min(best);
    out.value = out.smallest.hi;
}
