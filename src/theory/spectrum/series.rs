//! Moments of the limiting spectrum by power series of the S-transform.

use super::{Ensemble, LayerGroup, SpectrumError, check};

/// `a^p` for a series with `a[0] = 1` and any real exponent, to the length of `a` (Euler's recurrence).
fn power(a: &[f64], p: f64) -> Vec<f64> {
    let mut b = vec![0.0; a.len()];
    b[0] = 1.0;
    for n in 1..a.len() {
        let sum: f64 = (1..=n)
            .map(|i| (p * i as f64 - (n - i) as f64) * a[i] * b[n - i])
            .sum();
        b[n] = sum / n as f64;
    }
    b
}

fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..a.len())
        .map(|n| (0..=n).map(|i| a[i] * b[n - i]).sum())
        .collect()
}

/// Moments `E lambda^k / (E lambda)^k`, `k = 1..=count`, of the limiting law of the squared singular values.
///
/// `1/S` of each factor is a power series; by Lagrange's inversion the `k`-th moment of the product is
/// `[z^(k-1)] ((1+z)/S(z))^k / k`. Asymptotic in the width; layers are square.
///
/// # Errors
/// As [`super::spectrum`].
///
/// # Examples
/// ```
/// use isometer::network::activation::Activation;
/// use isometer::theory::spectrum::{Ensemble, LayerGroup, SquaredSlopes, normalised_moments};
/// let slopes = SquaredSlopes::new(&Activation::Linear, 1.0).unwrap();
/// let layers = LayerGroup { ensemble: Ensemble::Gaussian, sigma_w2: 3.0, slopes, count: 2 };
/// let m = normalised_moments(&[layers], 3).unwrap(); // Fuss-Catalan: 1, 3, 12
/// assert!((m[1] - 3.0).abs() < 1e-10 && (m[2] - 12.0).abs() < 1e-9);
/// ```
pub fn normalised_moments(groups: &[LayerGroup], count: usize) -> Result<Vec<f64>, SpectrumError> {
    check(groups)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut one_plus_z = vec![0.0; count];
    one_plus_z[0] = 1.0;
    if count > 1 {
        one_plus_z[1] = 1.0;
    }
    // (1+z)/S(z)
    let mut total = one_plus_z.clone();
    for g in groups {
        let mean = g.slopes.moment(1).value;
        // psi(x)/x in units of the mean
        let psi: Vec<f64> = (1..=count)
            .map(|k| g.slopes.moment(k as u32).value / mean.powi(k as i32))
            .collect();
        // chi(z)/z
        let chi: Vec<f64> = (1..=count)
            .map(|k| power(&psi, -(k as f64))[k - 1] / k as f64)
            .collect();
        // 1/S = z/((1+z) chi), and 1+z from Gaussian weights
        let exponent = f64::from(u8::from(g.ensemble == Ensemble::Gaussian)) - 1.0;
        let one = product(&power(&one_plus_z, exponent), &power(&chi, -1.0));
        total = product(&total, &power(&one, g.count as f64));
    }
    Ok((1..=count)
        .map(|k| power(&total, k as f64)[k - 1] / k as f64)
        .collect())
}
