//! Proved extremes over all frequencies without a decomposition of each.
//!
//! One threshold serves every frequency: a Cholesky factorisation of `t I - F^*F` (of `F^*F - t I` for the
//! smallest) that runs to completion proves that this frequency holds nothing beyond `t`. The few
//! frequencies where it breaks down are decomposed; each moves the threshold or remains a candidate, and
//! candidates are enclosed one by one. Theorem: threshold-race.

use super::symbol::{Frequency, Stencil, Symbol};
use super::{Convolution, Progress, TorusExtremes};
use crate::linalg::condition::{ConditionOptions, condition};
use crate::linalg::dense;
use crate::linalg::norms;
use crate::linalg::rounding::{U, down, gamma, sqrt_down, sqrt_up, sum_up, up};
use crate::linalg::view::MatrixRef;
use crate::scale::Enclosure;
use faer::Mat;
use rayon::prelude::*;

/// Frequencies tried at the same threshold; fixed, so that results do not depend on the number of threads.
const BATCH: usize = 32;

/// Candidates that are enclosed one by one; more than that are taken to be a plateau.
const MOST_CANDIDATES: usize = 8;

/// Which end of the spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Top,
    Bottom,
}

/// `F^*F = R + iX` of a computed symbol.
struct Gram {
    /// Lower half of the real part.
    real: Mat<f64>,
    /// `Re F^T Im F`; `X` is this less its transpose.
    cross: Mat<f64>,
    /// Upper bound of `|F|_F^2`.
    square: f64,
    rows: usize,
}

impl Gram {
    fn new(s: &Symbol) -> Gram {
        let m = s.rows();
        let re = s.stacked.as_ref().subrows(0, m);
        let im = s.stacked.as_ref().subrows(m, m);
        Gram {
            real: dense::gram_lower(s.stacked.as_ref()),
            cross: dense::product(re.transpose(), im),
            square: s.square(),
            rows: m,
        }
    }

    /// Factors `sign (F^*F - t I)` in its real embedding `[[R - t, -X], [X, R - t]]`; on success returns a slack
    /// with `sign (lambda - t) > -slack` for every eigenvalue of `F^*F`.
    fn beyond(&self, end: End, t: f64) -> Option<f64> {
        let n = self.real.ncols();
        let sign = match end {
            End::Top => -1.0,
            End::Bottom => 1.0,
        };
        let mut m = Mat::zeros(2 * n, 2 * n);
        for j in 0..n {
            for i in j..n {
                let r = sign * (self.real[(i, j)] - if i == j { t } else { 0.0 });
                m[(i, j)] = r;
                m[(n + i, n + j)] = r;
            }
            for i in 0..n {
                m[(n + i, j)] = sign * (self.cross[(i, j)] - self.cross[(j, i)]);
            }
        }
        let trace = sum_up((0..2 * n).map(|i| m[(i, i)].max(0.0)));
        if !dense::cholesky_lower(m.as_mut()) {
            return None;
        }
        // the absolute embedding has Frobenius norm sqrt 2 |F|_F; forming a diagonal entry rounds once
        let formed = gamma(2 * self.rows + 2) * 2.0 * self.square + 2.0 * U * (self.square + t);
        let g = gamma(2 * n + 2);
        let slack = up(formed + g / (1.0 - g) * trace + 1e-290);
        slack.is_finite().then_some(slack)
    }
}

/// One frequency of one group.
#[derive(Clone, Copy)]
struct Item {
    group: usize,
    frequency: Frequency,
}

/// Where one end of one frequency stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Status {
    Open,
    /// Proved: every squared singular value is at most (top) or at least (bottom) this.
    Proved(f64),
    /// Decomposed: an approximate singular value.
    Seen(f64),
}

/// The race for one end.
struct Race {
    end: End,
    status: Vec<Status>,
    /// Best singular value seen.
    record: f64,
    /// Typical slack of a proof.
    slack: f64,
    /// Whether the threshold lies beyond the record, because too many frequencies tie with it.
    beyond: bool,
}

impl Race {
    fn new(end: End, items: usize, stencil: &Stencil) -> Race {
        let (m, n) = (stencil.rows(), stencil.cols());
        let square = 2.0 * stencil.mean_square();
        Race {
            end,
            status: vec![Status::Open; items],
            record: match end {
                End::Top => 0.0,
                End::Bottom => f64::INFINITY,
            },
            slack: (gamma(2 * m + 2) + gamma(2 * n + 2)) * 2.0 * square,
            beyond: false,
        }
    }

    /// Slack of a proof at the threshold `t`: the trace of the top's matrix grows with it.
    fn slack_at(&self, t: f64, n: usize) -> f64 {
        match self.end {
            End::Top => self.slack + 2.0 * n as f64 * gamma(2 * n + 2) * t,
            End::Bottom => self.slack,
        }
    }

    /// The threshold in force: short of the record, so that what ties with it is seen, or just beyond.
    fn threshold(&self, n: usize) -> f64 {
        let square = self.record * self.record;
        let slack = self.slack_at(square, n);
        let inward = if self.beyond { -0.25 } else { 2.5 } * slack;
        match self.end {
            End::Top => square - inward,
            End::Bottom => square + inward,
        }
    }

    fn see(&mut self, k: usize, sigma: f64) {
        self.status[k] = Status::Seen(sigma);
        self.record = match self.end {
            End::Top => self.record.max(sigma),
            End::Bottom => self.record.min(sigma),
        };
    }

    /// Frequencies seen within the tie window of the record.
    fn ties(&self, n: usize) -> usize {
        let square = self.record * self.record;
        let window = 4.0 * self.slack_at(square, n);
        let near = |s: &&Status| matches!(s, Status::Seen(x) if (x * x - square).abs() <= window);
        self.status.iter().filter(near).count()
    }

    fn open(&self, k: usize) -> bool {
        self.status[k] == Status::Open
    }

    fn proved(&mut self, k: usize, t: f64, slack: f64) {
        self.status[k] = Status::Proved(match self.end {
            End::Top => up(t + slack),
            End::Bottom => down(t - slack),
        });
    }

    /// What all proved frequencies together say about the squares.
    fn proved_limit(&self) -> f64 {
        let limits = self.status.iter().filter_map(|s| match s {
            Status::Proved(x) => Some(*x),
            _ => None,
        });
        match self.end {
            End::Top => limits.fold(0.0, f64::max),
            End::Bottom => limits.fold(f64::INFINITY, f64::min),
        }
    }

    /// Indices of the frequencies that were seen, the record first.
    fn candidates(&self) -> Vec<usize> {
        let mut all: Vec<(usize, f64)> = self
            .status
            .iter()
            .enumerate()
            .filter_map(|(k, s)| match s {
                Status::Seen(x) => Some((k, *x)),
                _ => None,
            })
            .collect();
        all.sort_by(|a, b| match self.end {
            End::Top => b.1.total_cmp(&a.1),
            End::Bottom => a.1.total_cmp(&b.1),
        });
        all.into_iter().map(|(k, _)| k).collect()
    }
}

/// What one visit to a frequency found.
#[derive(Default)]
struct Visit {
    top: Option<f64>,
    bottom: Option<f64>,
    /// Largest and smallest singular value, where a proof failed.
    seen: Option<(f64, f64)>,
}

struct Field<'a> {
    stencil: &'a Stencil,
    items: Vec<Item>,
}

impl Field<'_> {
    fn symbol(&self, k: usize) -> Symbol {
        let item = self.items[k];
        self.stencil.evaluate(item.group, item.frequency)
    }

    /// Tries both proofs at frequency `k` where a threshold is given.
    fn visit(&self, k: usize, top: Option<f64>, bottom: Option<f64>, look: bool) -> Visit {
        let symbol = self.symbol(k);
        let gram = Gram::new(&symbol);
        let attempt = |end, t: Option<f64>| t.and_then(|t| gram.beyond(end, t));
        let mut visit = Visit {
            top: attempt(End::Top, top.filter(|t| *t > 0.0)),
            bottom: attempt(End::Bottom, bottom.filter(|t| *t > 0.0 && t.is_finite())),
            seen: None,
        };
        let failed =
            top.is_some() && visit.top.is_none() || bottom.is_some() && visit.bottom.is_none();
        if look && failed {
            let s = symbol.singular_values().unwrap_or_default();
            visit.seen = s.first().copied().zip(s.last().copied());
        }
        visit
    }

    /// Runs both races until every frequency is proved or seen.
    fn run(&self, top: &mut Race, mut bottom: Option<&mut Race>, progress: Option<Progress<'_>>) {
        let n = self.stencil.cols();
        let all = self.items.len();
        // neighbouring frequencies have similar symbols: far apart ones find the record sooner
        let mut queue = scattered(self.items.len());
        let mut batch = 1;
        while !queue.is_empty() {
            if let Some(tell) = progress {
                tell(all - queue.len(), all);
            }
            let now: Vec<usize> = queue.drain(..batch.min(queue.len())).collect();
            let t = top.threshold(n);
            let b = bottom.as_ref().map(|r| r.threshold(n));
            let (tops, bottoms) = (&*top, bottom.as_deref());
            let visits: Vec<Visit> = now
                .par_iter()
                .map(|&k| {
                    let wants_top = tops.open(k).then_some(t);
                    let wants_bottom = b.filter(|_| bottoms.is_some_and(|r| r.open(k)));
                    self.visit(k, wants_top, wants_bottom, true)
                })
                .collect();
            for (&k, visit) in now.iter().zip(&visits) {
                record(top, k, t, visit.top, visit.seen.map(|s| s.0));
                if let (Some(r), Some(b)) = (bottom.as_deref_mut(), b) {
                    record(r, k, b, visit.bottom, visit.seen.map(|s| s.1));
                }
            }
            for race in std::iter::once(&mut *top).chain(bottom.as_deref_mut()) {
                race.beyond |= race.ties(n) > MOST_CANDIDATES;
            }
            batch = (2 * batch).min(BATCH);
        }
    }

    /// Tries to prove what was seen, now that the record stands; what is left are candidates.
    fn settle(&self, race: &mut Race) -> Vec<usize> {
        let n = self.stencil.cols();
        let last = race.threshold(n);
        let prove = |race: &mut Race, ks: &[usize], t: f64| {
            let end = race.end;
            let slacks: Vec<Option<f64>> = ks
                .par_iter()
                .map(|&k| match end {
                    End::Top => self.visit(k, Some(t), None, false).top,
                    End::Bottom => self.visit(k, None, Some(t), false).bottom,
                })
                .collect();
            for (&k, slack) in ks.iter().zip(slacks) {
                if let Some(slack) = slack {
                    race.proved(k, t, slack);
                }
            }
        };
        let seen = race.candidates();
        // the record itself stays a candidate: it gives the other limit
        prove(race, seen.get(1..).unwrap_or_default(), last);
        let square = race.record * race.record;
        let slack = race.slack_at(square, n);
        for step in [0.25, 2.0, 30.0] {
            let left = race.candidates();
            if left.len() <= MOST_CANDIDATES {
                break;
            }
            let t = match race.end {
                End::Top => square + step * slack,
                End::Bottom => square - (step + 1.25) * slack,
            };
            if t > 0.0 {
                prove(race, &left[1..], t);
            }
        }
        race.candidates()
    }

    /// Proved enclosure of the norm of the computed symbol at frequency `k`.
    fn norm(&self, k: usize) -> Option<(f64, f64)> {
        let symbol = self.symbol(k);
        let pairs = symbol.pairs();
        let view = MatrixRef::col_major(&pairs, symbol.rows(), self.stencil.cols()).ok()?;
        let (_, lo, hi) = norms::two(&view).ok()?.to_linear()?;
        Some((lo, hi))
    }

    /// Proved enclosure of the smallest singular value of the computed symbol at frequency `k`.
    fn least(&self, k: usize) -> Option<(f64, f64)> {
        let symbol = self.symbol(k);
        let pairs = symbol.pairs();
        let view = MatrixRef::col_major(&pairs, symbol.rows(), self.stencil.cols()).ok()?;
        let c = condition(&view, &ConditionOptions::default()).ok()?;
        let (_, lo, hi) = c.sigma_min.enclosure.to_linear()?;
        Some((lo, hi))
    }

    /// Limits of the largest singular value.
    fn top(&self, race: &mut Race) -> (f64, f64) {
        let candidates = self.settle(race);
        let e = self.stencil.error();
        let mut hi = sqrt_up(race.proved_limit());
        let mut lo = 0.0f64;
        for (rank, &k) in candidates.iter().enumerate() {
            let worthwhile = rank < MOST_CANDIDATES;
            match worthwhile.then(|| self.norm(k)).flatten() {
                Some((l, h)) => {
                    lo = lo.max(l);
                    hi = hi.max(h);
                }
                None => hi = hi.max(sqrt_up(self.symbol(k).square())),
            }
        }
        (down(lo - e), up(hi + e))
    }

    /// Limits of the smallest singular value.
    fn bottom(&self, race: &mut Race) -> (f64, f64) {
        let candidates = self.settle(race);
        let e = self.stencil.error();
        if candidates.first().is_some_and(|&k| self.vanishes(k)) {
            return (0.0, 0.0);
        }
        let mut lo = sqrt_down(race.proved_limit());
        let mut hi = f64::INFINITY;
        for (rank, &k) in candidates.iter().enumerate() {
            let Status::Seen(sigma) = race.status[k] else {
                continue;
            };
            // below the error of the symbol there is nothing to prove
            let worthwhile = rank < MOST_CANDIDATES && sigma > 4.0 * e;
            match worthwhile.then(|| self.least(k)).flatten() {
                Some((l, h)) => {
                    lo = lo.min(l);
                    hi = hi.min(h);
                }
                None => {
                    lo = 0.0;
                    if rank == 0 {
                        hi = self.upper_of_least(k);
                    }
                }
            }
        }
        (down(lo - e), up(hi + e))
    }

    /// Whether the symbol at frequency `k` is proved singular: it was computed without any error.
    fn vanishes(&self, k: usize) -> bool {
        let item = self.items[k];
        self.stencil.is_exact(item.group, item.frequency)
            && self.least(k).is_some_and(|(_, hi)| hi == 0.0)
    }

    /// An upper bound of the smallest singular value of one computed symbol: `|F x| / |x|` for a vector near
    /// its last right singular vector.
    fn upper_of_least(&self, k: usize) -> f64 {
        let symbol = self.symbol(k);
        let gram = Gram::new(&symbol);
        let n = gram.real.ncols();
        let embedded = Mat::from_fn(2 * n, 2 * n, |i, j| {
            let (a, b) = (i.max(j), i.min(j));
            if a < n || b >= n {
                gram.real[(a % n, b % n)]
            } else {
                gram.cross[(a - n, b)] - gram.cross[(b, a - n)]
            }
        });
        let Some((_, vectors)) = dense::symmetric_eigen(&embedded) else {
            return sqrt_up(gram.square);
        };
        let v = vectors.col_as_slice(0);
        // F (x + iy), with an error of gamma_2n |F|_F |v|
        let part = |k: usize| symbol.stacked.as_ref().subrows(k * gram.rows, gram.rows);
        let x = Mat::from_fn(n, 1, |i, _| v[i]);
        let y = Mat::from_fn(n, 1, |i, _| v[n + i]);
        let re = dense::product(part(0), x.as_ref()) - dense::product(part(1), y.as_ref());
        let im = dense::product(part(0), y.as_ref()) + dense::product(part(1), x.as_ref());
        let both: Vec<f64> = [re.col_as_slice(0), im.col_as_slice(0)].concat();
        let (_, above) = crate::linalg::operator::norm_limits(&both);
        let (below, size) = crate::linalg::operator::norm_limits(v);
        let error = gamma(2 * n + 4) * 2.0 * sqrt_up(gram.square) * size;
        up((above + error) / below)
    }
}

fn record(race: &mut Race, k: usize, t: f64, slack: Option<f64>, seen: Option<f64>) {
    if !race.open(k) {
        return;
    }
    match (slack, seen) {
        (Some(slack), _) => race.proved(k, t, slack),
        (None, Some(sigma)) => race.see(k, sigma),
        // no decomposition: nothing is known but that the square is not negative
        (None, None) => race.see(
            k,
            match race.end {
                End::Top => f64::INFINITY,
                End::Bottom => 0.0,
            },
        ),
    }
}

impl Convolution {
    /// Largest singular value on the torus of the input's size (rounded up to a multiple of the stride), a
    /// proved enclosure. With circular padding it is the norm of the map; with zeros it bounds
    /// nothing: see [`Convolution::zero_padding_bound`].
    ///
    /// One Cholesky factorisation for each frequency of the half grid: `O(HW c^3)`.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[1.0, 2.0, 3.0], 1, 3).unwrap();
    /// let kernel = Kernel::new(&taps, &[1, 1, 3], Layout::OutputsFirst, 1).unwrap();
    /// let c = Convolution::new(kernel, Geometry::torus(1, 8)).unwrap();
    /// let (_, lo, hi) = c.torus_norm().to_linear().unwrap(); // taps of one sign: their sum, at frequency 0
    /// assert!(lo <= 6.0 && 6.0 <= hi && hi - lo < 1e-12);
    /// ```
    pub fn torus_norm(&self) -> Enclosure {
        self.torus_norm_with(None)
    }

    /// The same, telling how many frequencies are done: with hundreds of channels that takes minutes.
    pub fn torus_norm_with(&self, progress: Option<Progress<'_>>) -> Enclosure {
        if self.kernel().is_zero() {
            return Enclosure::ZERO;
        }
        let stencil = Stencil::new(&self.on_torus(self.geometry().size));
        let field = Field::of(&stencil);
        let mut top = Race::new(End::Top, field.items.len(), &stencil);
        field.run(&mut top, None, progress);
        let (lo, hi) = field.top(&mut top);
        enclosure(top.record, lo, hi, self.kernel().exponent())
    }

    /// Both extreme singular values on the torus of the input's size, proved.
    ///
    /// The lower limit of the smallest is positive where Gram matrices show it (kappa up to about 1e6), or
    /// where the few frequencies that come close to singular can be enclosed one by one; else it is 0.
    ///
    /// # Examples
    /// ```
    /// use isometer::linalg::convolution::{Convolution, Geometry, Kernel, Layout};
    /// use isometer::linalg::view::MatrixRef;
    /// let taps = MatrixRef::row_major(&[3.0, 1.0], 1, 2).unwrap(); // |3 + e^(iw)|
    /// let kernel = Kernel::new(&taps, &[1, 1, 2], Layout::OutputsFirst, 1).unwrap();
    /// let e = Convolution::new(kernel, Geometry::torus(1, 8)).unwrap().torus_extremes();
    /// let (_, lo, hi) = e.smallest.to_linear().unwrap();
    /// assert!(lo <= 2.0 && 2.0 <= hi && hi - lo < 1e-9);
    /// ```
    pub fn torus_extremes(&self) -> TorusExtremes {
        self.torus_extremes_with(None)
    }

    /// The same, telling how many frequencies are done.
    pub fn torus_extremes_with(&self, progress: Option<Progress<'_>>) -> TorusExtremes {
        if self.kernel().is_zero() {
            return TorusExtremes {
                largest: Enclosure::ZERO,
                smallest: Enclosure::ZERO,
                remark: Some("exactly singular: every entry is zero".into()),
            };
        }
        let stencil = Stencil::new(&self.on_torus(self.geometry().size));
        let field = Field::of(&stencil);
        let mut top = Race::new(End::Top, field.items.len(), &stencil);
        let deficient = stencil.deficiency();
        let exponent = self.kernel().exponent();
        let (smallest, remark) = if deficient.is_some() {
            field.run(&mut top, None, progress);
            (Enclosure::ZERO, deficient)
        } else {
            let mut bottom = Race::new(End::Bottom, field.items.len(), &stencil);
            field.run(&mut top, Some(&mut bottom), progress);
            let (lo, hi) = field.bottom(&mut bottom);
            let remark = (lo == 0.0).then(|| {
                let at = bottom.candidates().first().copied().unwrap_or(0);
                let [y, x] = field.items[at].frequency.index;
                if hi == 0.0 {
                    format!("exactly singular: the symbol at frequency ({y}, {x}) of the torus is")
                } else {
                    format!("nothing proves the symbol at frequency ({y}, {x}) of the torus non-singular")
                }
            });
            (enclosure(bottom.record, lo, hi, exponent), remark)
        };
        let (lo, hi) = field.top(&mut top);
        TorusExtremes {
            largest: enclosure(top.record, lo, hi, exponent),
            smallest,
            remark,
        }
    }
}

impl<'a> Field<'a> {
    fn of(stencil: &'a Stencil) -> Field<'a> {
        let grid = stencil.half_grid();
        let items = (0..stencil.groups())
            .flat_map(|group| grid.iter().map(move |&frequency| Item { group, frequency }))
            .collect();
        Field { stencil, items }
    }
}

/// `0..n` in steps of about `0.618 n`.
fn scattered(n: usize) -> Vec<usize> {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let start = (n as f64 * 0.618) as usize;
    let step = (start..=n + start).find(|s| gcd(*s, n) == 1).unwrap_or(1);
    (0..n as u64)
        .map(|k| (k * step as u64 % n as u64) as usize)
        .collect()
}

fn enclosure(value: f64, lo: f64, hi: f64, exponent: i64) -> Enclosure {
    Enclosure::new(value, lo, hi, exponent).unwrap_or(Enclosure::UNKNOWN)
}
