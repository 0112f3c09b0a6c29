//! Eigenvalues, conditioning and norms of products and convolutions.

use super::tools::{SEED, matrix, normals, times};
use super::{Case, Claim, ClaimError, Evidence, Verdict};
use crate::linalg::condition::{ConditionOptions, condition};
use crate::linalg::norms;
use crate::linalg::product::{Layer, ProductOptions, spectrum};
use crate::linalg::singular::singular_values;
use crate::scale::LogScale;

pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "eigenvalues-bound-products",
        statement: "The eigenvalues of a product are bounded by products of eigenvalues of the factors.",
        origin: "true of norms and of determinants",
        verdict: Verdict::OnlyIf,
        condition: "the factors are normal, where the spectral radius is the norm; otherwise use singular values: [[0, 2], [0, 0]] and its transpose have eigenvalues 0 and a product with eigenvalue 4",
        theorem: "eigenvalues-of-products",
        command: "isometer product a.npy b.npy",
        compute: eigenvalues_of_products,
    },
    Claim {
        id: "smallest-eigenvalues-bound-products",
        statement: "The product of the smallest eigenvalues bounds the smallest eigenvalue of a product from below.",
        origin: "the same belief at the other end of the spectrum",
        verdict: Verdict::OnlyIf,
        condition: "the factors are normal; in general the smallest singular values do: [[1, 1], [0, 1]] times its transpose has eigenvalue 0.38",
        theorem: "eigenvalues-of-products",
        command: "isometer product a.npy b.npy",
        compute: smallest_eigenvalues,
    },
    Claim {
        id: "good-factors-good-product",
        statement: "A product of well-conditioned matrices is well conditioned.",
        origin: "each factor loses few digits",
        verdict: Verdict::OnlyIf,
        condition: "the factors are multiples of orthogonal matrices; otherwise condition numbers multiply in the worst case and grow exponentially in the typical one",
        theorem: "condition-of-products",
        command: "isometer product --gaussian 100x4",
        compute: good_factors,
    },
    Claim {
        id: "hundred-matrices",
        statement: "The condition number that an SVD prints for the product of a hundred random matrices is that of the product.",
        origin: "a textbook exercise that multiplies 100 Gaussian 4 x 4 matrices",
        verdict: Verdict::False,
        condition: "forming the product in floating point loses every singular value more than 16 digits below the largest: about 1e17 is printed where the truth is above 1e30",
        theorem: "volume-growth",
        command: "isometer product --gaussian 100x4",
        compute: hundred_matrices,
    },
    Claim {
        id: "printed-condition-1e17",
        statement: "A computed condition number of 1e17 says that kappa is 1e17.",
        origin: "printed without its error",
        verdict: Verdict::False,
        condition: "above 1/u = 9e15 a double precision SVD returns its own rounding error for the smallest singular value: the truth may be infinite, or any larger number",
        theorem: "singular-value-perturbation",
        command: "isometer cond matrix.npy",
        compute: printed_condition,
    },
    Claim {
        id: "alpha-fixes-conditioning",
        statement: "Multiplying the weights by a suitable alpha improves their condition number.",
        origin: "growth and conditioning are taken for one thing",
        verdict: Verdict::False,
        condition: "kappa(alpha W) = kappa(W) for every alpha other than 0; alpha moves all singular values alike",
        theorem: "condition-of-multiples",
        command: "isometer cond weights.npy",
        compute: alpha_conditioning,
    },
    Claim {
        id: "spectral-norm-makes-conv-lipschitz",
        statement: "Dividing a convolution's kernel by the spectral norm of its reshaped matrix makes the layer 1-Lipschitz.",
        origin: "spectral_norm in deep learning libraries reshapes the kernel",
        verdict: Verdict::OnlyIf,
        condition: "the kernel is 1 x 1 (or the stride is its size); a 3 x 3 kernel of one sign can be 3 times larger as a map, sqrt(kh kw) in general",
        theorem: "convolution-norm",
        command: "isometer cond conv.safetensors",
        compute: spectral_norm,
    },
    Claim {
        id: "power-iteration-bounds-above",
        statement: "Power iteration gives an upper bound on the spectral norm.",
        origin: "its estimate is used as one",
        verdict: Verdict::False,
        condition: "every estimate |A v| with a unit vector v is a lower bound, and it rises towards the norm",
        theorem: "power-iteration-is-a-lower-bound",
        command: "isometer cond weights.npy",
        compute: power_iteration,
    },
];

/// Moduli of the eigenvalues of a real 2 x 2 matrix, largest first.
fn moduli([a, b, c, d]: [f64; 4]) -> [f64; 2] {
    let (half, det) = (0.5 * (a + d), a * d - b * c);
    let gap = half * half - det;
    match gap < 0.0 {
        true => [det.sqrt(); 2],
        false => {
            let far = half.abs() + gap.sqrt();
            [far, if far == 0.0 { 0.0 } else { (det / far).abs() }]
        }
    }
}

fn product(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    let p = times(&a, &b, 2);
    [p[0], p[1], p[2], p[3]]
}

const SYMMETRIC: ([f64; 4], [f64; 4]) = ([2.0, 1.0, 1.0, 3.0], [1.0, -1.0, -1.0, 4.0]);

/// Theorem: eigenvalues-of-products.
fn eigenvalues_of_products() -> Result<Evidence, ClaimError> {
    let nilpotent = [0.0, 2.0, 0.0, 0.0];
    let transposed = [0.0, 0.0, 2.0, 0.0];
    let mut cases = Vec::new();
    for (name, a, b, normal) in [
        ("two symmetric matrices", SYMMETRIC.0, SYMMETRIC.1, true),
        (
            "[[0, 2], [0, 0]] and its transpose",
            nilpotent,
            transposed,
            false,
        ),
    ] {
        let bound = moduli(a)[0] * moduli(b)[0];
        let truth = moduli(product(a, b))[0];
        let case = Case::new(name, truth <= bound)
            .with("largest_modulus_of_the_product", truth)
            .with("product_of_largest_moduli", bound);
        cases.push(if normal { case.under_condition() } else { case });
    }
    Ok(Evidence { cases })
}

/// Theorem: eigenvalues-of-products.
fn smallest_eigenvalues() -> Result<Evidence, ClaimError> {
    let mut cases = Vec::new();
    for (name, a, b, normal) in [
        ("two symmetric matrices", SYMMETRIC.0, SYMMETRIC.1, true),
        (
            "[[1, 1], [0, 1]] and its transpose",
            [1.0, 1.0, 0.0, 1.0],
            [1.0, 0.0, 1.0, 1.0],
            false,
        ),
    ] {
        let bound = moduli(a)[1] * moduli(b)[1];
        let truth = moduli(product(a, b))[1];
        let case = Case::new(name, truth >= bound)
            .with("smallest_modulus_of_the_product", truth)
            .with("product_of_smallest_moduli", bound);
        cases.push(if normal { case.under_condition() } else { case });
    }
    Ok(Evidence { cases })
}

/// `log10` of the condition number of a product of layers, the first applied first.
fn log10_cond(layers: &[Layer]) -> Result<f64, ClaimError> {
    Ok(spectrum(&mut &*layers, &ProductOptions::default())?.log10_cond())
}

/// Condition numbers up to this, times rounding, count as well conditioned.
const WELL: f64 = 2.0;

/// Theorem: condition-of-products.
fn good_factors() -> Result<Evidence, ClaimError> {
    const LAYERS: usize = 50;
    let diagonal =
        |_: usize| Layer::from_fn(2, 2, |i, j| if i != j { 0.0 } else { [WELL, 1.0][i] });
    let rotation = |k: usize| {
        let (s, c) = (0.3 + k as f64).sin_cos();
        Layer::from_fn(2, 2, |i, j| 3.0 * [[c, -s], [s, c]][i][j])
    };
    let mixed = |k: usize| {
        let (s, c) = (0.3 + 1.7 * k as f64).sin_cos();
        Layer::from_fn(2, 2, |i, j| [[WELL * c, -WELL * s], [s, c]][i][j])
    };
    let mut cases = Vec::new();
    for (name, layer, orthogonal) in [
        (
            "50 multiples of rotations",
            &rotation as &dyn Fn(usize) -> Layer,
            true,
        ),
        ("diag(2, 1) 50 times", &diagonal, false),
        ("diag(2, 1) with a rotation between", &mixed, false),
    ] {
        let layers: Vec<Layer> = (0..LAYERS).map(layer).collect();
        let one = log10_cond(&layers[..1])?;
        let all = log10_cond(&layers)?;
        // 50 factors move the logarithm by no more than 50 roundings
        let case = Case::new(name, all <= WELL.log10() + 1e-9)
            .with("log10_cond_of_one_factor", one)
            .with("log10_cond_of_the_product", all);
        cases.push(if orthogonal {
            case.under_condition()
        } else {
            case
        });
    }
    Ok(Evidence { cases })
}

/// Theorem: volume-growth.
fn hundred_matrices() -> Result<Evidence, ClaimError> {
    const N: usize = 4;
    const LAYERS: usize = 100;
    let entries = normals(LAYERS * N * N, 51);
    let layers: Vec<Layer> = entries
        .chunks(N * N)
        .map(|w| Layer::from_fn(N, N, |i, j| w[i * N + j]))
        .collect();
    let mut naive = entries[..N * N].to_vec();
    for w in entries.chunks(N * N).skip(1) {
        naive = times(w, &naive, N);
    }
    let s = singular_values(&matrix(&naive, N, N)?)?;
    let printed = (s.log(0) / s.log(N - 1)).log10();
    let truth = log10_cond(&layers)?;
    Ok(Evidence {
        cases: vec![
            Case::new(format!("100 Gaussian 4 x 4 matrices, seed {SEED}: the printed number is right to a factor of 2"), (printed - truth).abs() < 2f64.log10())
                .with("log10_cond_printed", printed)
                .with("log10_cond", truth),
        ],
    })
}

/// Theorem: singular-value-perturbation.
fn printed_condition() -> Result<Evidence, ClaimError> {
    let counting: Vec<f64> = (1..=9).map(f64::from).collect();
    let mut cases = Vec::new();
    let hidden = vec![1.0, 1.0, 1.0, 1.0 + 2f64.powi(-52)];
    for (name, entries, n) in [
        ("[[1, 2, 3], [4, 5, 6], [7, 8, 9]]", &counting, 3),
        ("[[1, 1], [1, 1 + 2^-52]]", &hidden, 2),
    ] {
        let view = matrix(entries, n, n)?;
        let s = singular_values(&view)?;
        let printed = (s.log(0) / s.log(n - 1)).log10();
        let truth = condition(&view, &ConditionOptions::default())?
            .cond
            .enclosure
            .value();
        let right = (printed - truth.log10()).abs() < 2f64.log10();
        // the second shows that a number this large can also be right: the print does not tell
        cases.push(
            Case::new(format!("{name}: printed within a factor of 2"), right)
                .with("log10_cond_printed", printed)
                .with("log10_cond", truth.log10()),
        );
    }
    Ok(Evidence { cases })
}

/// Theorem: condition-of-multiples.
fn alpha_conditioning() -> Result<Evidence, ClaimError> {
    let w = normals(64, 52);
    let kappa = |alpha: f64| -> Result<f64, ClaimError> {
        let scaled: Vec<f64> = w.iter().map(|x| alpha * x).collect();
        Ok(
            condition(&matrix(&scaled, 8, 8)?, &ConditionOptions::default())?
                .cond
                .enclosure
                .value()
                .log10(),
        )
    };
    let own = kappa(1.0)?;
    let mut cases = Vec::new();
    for alpha in [1e-3, 0.3, 1e3] {
        let scaled = kappa(alpha)?;
        // alpha rounds every entry once
        cases.push(
            Case::new(
                format!("a Gaussian 8 x 8 matrix times {alpha}: smaller condition number"),
                scaled < own - 1e-9,
            )
            .with("log10_cond", scaled)
            .with("log10_cond_at_alpha_1", own),
        );
    }
    Ok(Evidence { cases })
}

/// Norm of the circular convolution of an `n x n` image with a `k x k` kernel, one channel, from its explicit matrix.
fn convolution(kernel: &[f64], k: usize, n: usize) -> Result<LogScale, ClaimError> {
    let mut dense = vec![0.0; n.pow(4)];
    for (y, x) in (0..n * n).map(|p| (p / n, p % n)) {
        for (at, value) in kernel.iter().enumerate() {
            let from = (y + at / k) % n * n + (x + at % k) % n;
            dense[(y * n + x) * n * n + from] += value;
        }
    }
    Ok(norms::two(&matrix(&dense, n * n, n * n)?)?.value())
}

/// Theorem: convolution-norm.
fn spectral_norm() -> Result<Evidence, ClaimError> {
    let mut cases = Vec::new();
    for (name, kernel, k) in [
        ("1 x 1 kernel 2.5", vec![2.5], 1usize),
        ("3 x 3 kernel of ones", vec![1.0; 9], 3),
        ("3 x 3 Gaussian kernel", normals(9, 53), 3),
    ] {
        let reshaped = norms::two(&matrix(&kernel, 1, k * k)?)?.value();
        let layer = (convolution(&kernel, k, 6)? / reshaped).to_linear_saturating();
        let case = Case::new(
            format!("{name}, divided by the norm of its reshaped matrix, on a 6 x 6 torus"),
            layer <= 1.0 + 1e-12,
        )
        .with("norm_of_the_layer", layer)
        .with("largest_possible", k as f64);
        cases.push(if k == 1 { case.under_condition() } else { case });
    }
    Ok(Evidence { cases })
}

/// Theorem: power-iteration-is-a-lower-bound.
fn power_iteration() -> Result<Evidence, ClaimError> {
    const N: usize = 32;
    let a = normals(N * N, 54);
    let truth = norms::two(&matrix(&a, N, N)?)?
        .value()
        .to_linear_saturating();
    let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut v = normals(N, 55);
    let mut cases = Vec::new();
    for step in 1..=8 {
        let size = length(&v);
        v.iter_mut().for_each(|x| *x /= size);
        let u: Vec<f64> = a
            .chunks(N)
            .map(|row| row.iter().zip(&v).map(|(x, y)| x * y).sum())
            .collect();
        let estimate = length(&u);
        if [1, 2, 8].contains(&step) {
            cases.push(
                Case::new(
                    format!("Gaussian 32 x 32 matrix, {step} iterations"),
                    estimate >= truth,
                )
                .with("estimate", estimate)
                .with("norm", truth),
            );
        }
        v = (0..N)
            .map(|j| (0..N).map(|i| a[i * N + j] * u[i]).sum())
            .collect();
    }
    Ok(Evidence { cases })
}
