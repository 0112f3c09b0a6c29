//! Singular values of the matrices in a tensor, beside those of a random matrix of the same shape.
//!
//! A matrix of independent entries has singular values between `s (sqrt(m) - sqrt(n))` and `s (sqrt(m) + sqrt(n))`
//! ([`marchenko_pastur`](crate::theory::marchenko_pastur)): what trained weights add to that is told by
//! [`Baseline`]. [`measure`] estimates within a budget, [`certify`] proves the ends.

use super::roles::{KernelLayout, Orientation, Role};
use crate::bounds::operator::{OperatorOptions, operator_norm};
use crate::linalg::condition::Method;
use crate::linalg::condition::{ConditionOptions, Measured, condition};
use crate::linalg::norms;
use crate::linalg::operator::StoredMatrix;
use crate::linalg::spectrum::{self, Spectrum, spectrum};
use crate::linalg::view::MatrixRef;
use crate::scale::{Certainty, Enclosure};
use crate::theory::marchenko_pastur::MarchenkoPastur;

/// Floating-point operations taken to fit in a second, so that the same file gives the same table on every machine.
pub const OPERATIONS_A_SECOND: f64 = 1e10;

/// Singular values fewer than this say nothing about a limiting law.
const FEW: usize = 16;

/// One matrix of a tensor.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which gate, or which of query, key and value.
    pub name: Option<&'static str>,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Frobenius norm.
    pub frobenius: Measured,
    /// Largest singular value.
    pub sigma_max: Measured,
    /// Smallest of the `min(rows, cols)` singular values; `None` where it was not computed.
    pub sigma_min: Option<Measured>,
    /// Condition number; `None` where it was not computed.
    pub cond: Option<Measured>,
    /// `|A|_F^2 / |A|_2^2`.
    pub stable_rank: f64,
    /// `exp` of the entropy of the singular values; `None` where they were not computed.
    pub effective_rank: Option<f64>,
    /// `sigma_1 / sigma_2`; `None` where it was not computed.
    pub gap: Option<f64>,
    /// All singular values; `None` where they were not computed.
    pub spectrum: Option<Spectrum>,
    /// Beside a random matrix.
    pub baseline: Baseline,
    /// How the weakest number was had.
    pub method: Method,
    /// What the budget did not allow, in words.
    pub degraded: Option<String>,
}

/// A random matrix of the same shape and Frobenius norm, with independent entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    /// Upper end of the limiting law of its singular values.
    pub sigma_max: f64,
    /// `log10` of the largest singular value over that.
    pub log_excess: f64,
    /// `log10` of the condition number over a typical one of a random matrix,
    /// `(sqrt(m) + sqrt(n)) / (sqrt(m) - sqrt(n - 1))`; infinite for singular matrices.
    pub log_cond_excess: Option<f64>,
    /// Kolmogorov's distance of the singular values from the law.
    pub distance: Option<f64>,
}

/// A matrix inside a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Which gate, or which of query, key and value.
    pub name: Option<&'static str>,
    /// The matrix, with one row for each unit where the role tells.
    pub matrix: MatrixRef<'a>,
}

/// The matrices to be judged in a tensor that is stored as `shape` and seen as `flat` (first axis by all others): the whole first,
/// then the members of a stack.
///
/// # Examples
/// ```
/// use isometer::audit::{roles::{Gates, Role}, spectra::pieces};
/// use isometer::linalg::view::MatrixRef;
/// let stacked = [0.0; 32]; // the four gates of an LSTM with two units and four inputs
/// let flat = MatrixRef::row_major(&stacked, 8, 4).unwrap();
/// let parts = pieces(flat, &[8, 4], &Role::Gates(Gates::Lstm));
/// assert!(parts.iter().filter(|p| p.name.is_some()).all(|p| p.matrix.rows() == 2));
/// assert_eq!(parts.iter().filter(|p| p.name.is_some()).count(), 4);
/// ```
pub fn pieces<'a>(flat: MatrixRef<'a>, shape: &[usize], role: &Role) -> Vec<Piece<'a>> {
    let whole = |matrix| vec![Piece { name: None, matrix }];
    match role {
        Role::Gates(gates) => {
            let names = gates.names();
            let height = flat.rows() / names.len();
            let piece = |(k, name): (usize, &&'static str)| Piece {
                name: Some(*name),
                matrix: flat.block(k * height..(k + 1) * height, 0..flat.cols()),
            };
            whole(flat)
                .into_iter()
                .chain(names.iter().enumerate().map(piece))
                .collect()
        }
        Role::FusedQkv(orientation, sizes) => {
            let mut start = 0;
            let members = ["query", "key", "value"].into_iter().zip(sizes);
            let member = |(name, size): (&'static str, &usize)| {
                let range = start..start + size;
                start += size;
                let matrix = match orientation {
                    Orientation::OutIn => flat.block(range, 0..flat.cols()),
                    Orientation::InOut => flat.block(0..flat.rows(), range),
                };
                Piece {
                    name: Some(name),
                    matrix,
                }
            };
            whole(flat).into_iter().chain(members.map(member)).collect()
        }
        Role::Convolution(KernelLayout::TapsInOut) | Role::Depthwise(KernelLayout::TapsInOut) => {
            // one column for each output channel
            match shape.last().and_then(|out| flat.reshaped(*out)) {
                Some(m) => whole(m.transposed()),
                None => whole(flat),
            }
        }
        _ => whole(flat),
    }
}

/// How much to spend.
#[derive(Clone, Copy, Debug)]
pub struct SpectralOptions {
    /// Seconds for each matrix, at [`OPERATIONS_A_SECOND`].
    pub budget: f64,
    /// Certified ends instead of estimates.
    pub certify: bool,
    /// Seed of the random start where only the norm can be afforded.
    pub seed: u64,
}

impl SpectralOptions {
    fn allows(&self, work: f64) -> bool {
        work <= self.budget * OPERATIONS_A_SECOND
    }
}

/// Operations of a certificate: Gram matrix, factorisations and an inverse.
fn certificate_work(rows: usize, cols: usize) -> f64 {
    let (m, n) = (rows.max(cols) as f64, rows.min(cols) as f64);
    3.0 * m * n * n + 8.0 * n * n * n
}

/// Measures one matrix of finite entries; `largest` is the largest magnitude of an entry. `Err` says why nothing was computed.
///
/// # Examples
/// ```
/// use isometer::audit::{checkpoint::AuditOptions, spectra::{Piece, certify, measure}};
/// use isometer::linalg::view::MatrixRef;
/// use isometer::scale::Certainty;
/// let piece = Piece { name: None, matrix: MatrixRef::row_major(&[3.0, 0.0, 1.0, 4.0], 2, 2).unwrap() };
/// let options = AuditOptions::default().spectral;
/// let mut part = measure(&piece, 4.0, &options).unwrap();
/// assert!(certify(&piece, &mut part, &options));
/// let cond = part.cond.unwrap();
/// // s1 s2 = 12 and s1^2 + s2^2 = 26, so kappa + 1/kappa = 26/12
/// let kappa = cond.enclosure.to_linear().unwrap().0;
/// assert!(cond.certainty == Certainty::Certified && (kappa + 1.0 / kappa - 26.0 / 12.0).abs() < 1e-12);
/// ```
pub fn measure(piece: &Piece<'_>, largest: f64, options: &SpectralOptions) -> Result<Part, String> {
    let a = &piece.matrix;
    let (rows, cols) = (a.rows(), a.cols());
    let frobenius = Measured {
        enclosure: norms::frobenius(a).map_err(|e| e.to_string())?,
        certainty: Certainty::Certified,
    };
    let mut found = if options.allows(spectrum::work(rows, cols)) {
        let s = spectrum(a, largest).map_err(|e| e.to_string())?;
        from_spectrum(piece.name, s, frobenius)
    } else {
        from_norm(piece, frobenius, options)?
    };
    if options.certify {
        certify(piece, &mut found, options);
    }
    Ok(found)
}

/// Replaces the ends by certified ones, where the budget allows; returns whether it did.
pub fn certify(piece: &Piece<'_>, part: &mut Part, options: &SpectralOptions) -> bool {
    if !options.allows(certificate_work(part.rows, part.cols)) {
        if options.certify {
            part.degraded
                .get_or_insert_with(|| "a certificate would exceed the budget".into());
        }
        return false;
    }
    let Ok(c) = condition(&piece.matrix, &ConditionOptions::default()) else {
        return false;
    };
    part.sigma_max = c.sigma_max;
    part.sigma_min = Some(c.sigma_min);
    part.cond = Some(c.cond);
    part.method = c.method;
    part.degraded = None;
    part.baseline
        .compare_cond(&c.cond.enclosure, part.rows, part.cols);
    true
}

/// What a full spectrum tells.
pub fn from_spectrum(name: Option<&'static str>, s: Spectrum, frobenius: Measured) -> Part {
    let (rows, cols) = (s.rows, s.cols);
    let last = s.values.len() - 1;
    let (top, bottom) = (s.value(0), s.value(last));
    // a product of factors has more singular values, all zero
    let full = s.values.len() == rows.min(cols);
    let cond = Measured {
        enclosure: top.enclosure.ratio(&bottom.enclosure),
        certainty: Certainty::Estimate,
    };
    let mut baseline = Baseline::new(rows, cols, &frobenius.enclosure, &top.enclosure);
    if full {
        baseline.compare_cond(&cond.enclosure, rows, cols);
        baseline.distance = distance(&s, &frobenius.enclosure);
    }
    Part {
        name,
        rows,
        cols,
        frobenius,
        sigma_max: top,
        sigma_min: full.then_some(bottom),
        cond: full.then_some(cond),
        stable_rank: s.stable_rank(),
        effective_rank: Some(s.effective_rank()),
        gap: (last > 0 && s.values[1] > 0.0).then(|| s.values[0] / s.values[1]),
        method: s.method,
        spectrum: Some(s),
        baseline,
        degraded: None,
    }
}

/// A low-rank update `scale * up * down` of inner dimension `rank` from the spectrum of the product: the condition number is that of
/// the directions it has.
pub fn of_product(s: Spectrum, rank: usize, scale: f64) -> Part {
    let by = Enclosure::point(scale, 0).unwrap_or(Enclosure::UNKNOWN);
    let scaled = |m: Measured| Measured {
        enclosure: m.enclosure.times(&by),
        ..m
    };
    let last = s.values.len() - 1;
    let frobenius = s.frobenius();
    let (sigma_max, sigma_min) = (scaled(s.value(0)), scaled(s.value(last)));
    let mut part = from_spectrum(None, s, scaled(frobenius));
    part.cond = Some(Measured {
        enclosure: sigma_max.enclosure.ratio(&sigma_min.enclosure),
        certainty: Certainty::Estimate,
    });
    // the baseline of a full matrix says nothing about an update of low rank
    part.baseline = Baseline::new(
        part.rows,
        rank,
        &part.frobenius.enclosure,
        &sigma_max.enclosure,
    );
    (part.sigma_max, part.sigma_min) = (sigma_max, Some(sigma_min));
    part.spectrum = part.spectrum.map(|s| s.scaled(scale));
    part
}

/// The norm alone, between a vector and a polynomial.
fn from_norm(
    piece: &Piece<'_>,
    frobenius: Measured,
    options: &SpectralOptions,
) -> Result<Part, String> {
    let a = piece.matrix;
    let (rows, cols) = (a.rows(), a.cols());
    if a.components() > 1 {
        return Err(format!(
            "the singular values of a complex {rows} x {cols} matrix exceed the budget"
        ));
    }
    let op = StoredMatrix::new(a).map_err(|e| e.to_string())?;
    let choices = OperatorOptions {
        seed: options.seed,
        tolerance: 1e-3,
        max_steps: 100,
        ..OperatorOptions::default()
    };
    let norm = operator_norm(&op, &choices).map_err(|e| e.to_string())?;
    // the Frobenius norm is an upper bound without luck
    let (_, _, above) = frobenius
        .enclosure
        .to_linear()
        .unwrap_or((0.0, 0.0, f64::INFINITY));
    let upper = norm.upper.min(above);
    let middle = norm.lower + 0.25 * (upper - norm.lower);
    let sigma_max = Measured {
        enclosure: Enclosure::new(middle, norm.lower, upper, 0).unwrap_or(Enclosure::UNKNOWN),
        certainty: Certainty::Probabilistic,
    };
    let baseline = Baseline::new(rows, cols, &frobenius.enclosure, &sigma_max.enclosure);
    let ratio = frobenius
        .enclosure
        .ratio(&sigma_max.enclosure)
        .value()
        .to_linear_saturating();
    Ok(Part {
        name: piece.name,
        rows,
        cols,
        frobenius,
        sigma_max,
        sigma_min: None,
        cond: None,
        stable_rank: ratio * ratio,
        effective_rank: None,
        gap: None,
        spectrum: None,
        baseline,
        method: Method::Lanczos,
        degraded: Some(format!(
            "all singular values would take about {:.0} s: only the largest was computed",
            (spectrum::work(rows, cols) / OPERATIONS_A_SECOND).ceil()
        )),
    })
}

impl Baseline {
    fn new(rows: usize, cols: usize, frobenius: &Enclosure, sigma_max: &Enclosure) -> Baseline {
        let (m, n) = (rows.max(cols) as f64, rows.min(cols) as f64);
        // s^2 m n = |A|_F^2
        let log_edge = frobenius.log10().0 + (m.sqrt() + n.sqrt()).log10() - 0.5 * (m * n).log10();
        let excess = sigma_max.log10().0 - log_edge;
        Baseline {
            sigma_max: 10f64.powf(log_edge),
            log_excess: if excess.is_nan() { 0.0 } else { excess },
            log_cond_excess: None,
            distance: None,
        }
    }

    fn compare_cond(&mut self, cond: &Enclosure, rows: usize, cols: usize) {
        let (m, n) = (rows.max(cols) as f64, rows.min(cols) as f64);
        let typical = (m.sqrt() + n.sqrt()) / (m.sqrt() - (n - 1.0).sqrt());
        self.log_cond_excess = Some(cond.log10().0 - typical.log10());
    }
}

/// Distance of all singular values from the law of Marchenko and Pastur, in its unit.
fn distance(s: &Spectrum, frobenius: &Enclosure) -> Option<f64> {
    let n = s.values.len();
    let law = MarchenkoPastur::new(s.rows, s.cols)?;
    let (norm, _, _) = frobenius.shifted(-s.exponent).to_linear()?;
    // s sqrt(m) = |A|_F / sqrt(n)
    let unit = norm / (n as f64).sqrt();
    (n >= FEW && unit > 0.0).then(|| {
        let scaled: Vec<f64> = s.values.iter().map(|x| x / unit).collect();
        law.distance(&scaled)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    fn gaussian(rows: usize, cols: usize, std: f64) -> Vec<f64> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        (0..rows * cols)
            .map(|_| {
                let z: f64 = StandardNormal.sample(&mut rng);
                std * z
            })
            .collect()
    }

    const OPTIONS: SpectralOptions = SpectralOptions {
        budget: 10.0,
        certify: false,
        seed: 0,
    };

    fn part(x: &[f64], rows: usize, cols: usize, options: &SpectralOptions) -> Part {
        let matrix = MatrixRef::row_major(x, rows, cols).unwrap();
        measure(
            &Piece { name: None, matrix },
            matrix.max_component(),
            options,
        )
        .unwrap()
    }

    #[test]
    fn random_matrices_are_at_their_baseline_and_spiked_ones_are_not() {
        for (rows, cols) in [(120, 60), (60, 240), (100, 100)] {
            let mut x = gaussian(rows, cols, 1e-3);
            let p = part(&x, rows, cols, &OPTIONS);
            assert!(p.baseline.log_excess.abs() < 0.03, "{:?}", p.baseline);
            assert!(
                p.baseline.log_cond_excess.unwrap().abs() < 0.8,
                "{:?}",
                p.baseline
            );
            assert!(p.baseline.distance.unwrap() < 0.05, "{:?}", p.baseline);
            x.iter_mut().for_each(|v| *v += 2e-3);
            let spiked = part(&x, rows, cols, &OPTIONS);
            assert!(spiked.baseline.log_excess > 0.5 && spiked.baseline.distance.unwrap() > 0.3);
            assert!(spiked.stable_rank < 2.0 && spiked.gap.unwrap() > 5.0);
        }
    }

    #[test]
    fn a_small_budget_keeps_the_norm_and_says_so() {
        let x = gaussian(90, 70, 1.0);
        let all = part(&x, 90, 70, &OPTIONS);
        let little = part(
            &x,
            90,
            70,
            &SpectralOptions {
                budget: 1e-9,
                ..OPTIONS
            },
        );
        assert!(little.cond.is_none() && little.degraded.is_some());
        let (_, lo, hi) = little.sigma_max.enclosure.to_linear().unwrap();
        let truth = all.spectrum.as_ref().unwrap().linear(0);
        assert!(lo <= truth && truth <= hi && hi < 1.01 * lo);
        assert!((little.stable_rank / all.stable_rank - 1.0).abs() < 0.01);
        let sure = part(
            &x,
            90,
            70,
            &SpectralOptions {
                certify: true,
                ..OPTIONS
            },
        );
        assert_eq!(sure.cond.unwrap().certainty, Certainty::Certified);
    }

    #[test]
    fn gates_and_kernels_are_taken_apart() {
        let x: Vec<f64> = (0..48).map(f64::from).collect();
        let flat = MatrixRef::row_major(&x, 12, 4).unwrap();
        let gates = pieces(
            flat,
            &[12, 4],
            &Role::Gates(crate::audit::roles::Gates::Gru),
        );
        assert_eq!((gates.len(), gates[0].matrix.rows()), (4, 12));
        assert_eq!(
            (gates[2].name, gates[2].matrix.get(0, 0).0),
            (Some("update"), 16.0)
        );
        let qkv = pieces(
            flat.transposed(),
            &[4, 12],
            &Role::FusedQkv(Orientation::InOut, [4, 4, 4]),
        );
        assert_eq!((qkv[3].matrix.rows(), qkv[3].matrix.get(1, 0).0), (4, 33.0));
        // taps 2 x 2, 3 inputs, 4 outputs: unit 1 has entries 1, 5, 9, ...
        let hwio = MatrixRef::row_major(&x, 2, 24).unwrap();
        let kernel = pieces(
            hwio,
            &[2, 2, 3, 4],
            &Role::Convolution(KernelLayout::TapsInOut),
        );
        assert_eq!(
            (
                kernel[0].matrix.rows(),
                kernel[0].matrix.cols(),
                kernel[0].matrix.get(1, 2).0
            ),
            (4, 12, 9.0)
        );
    }
}
