use super::*;
use crate::reference::random::{Purpose, Stream, stream};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * b.abs(), "{a} and {b}");
}

fn rng(index: u64) -> Stream {
    stream(11, index, Purpose::Other(900))
}

/// p-values of a continuous statistic under the null are uniform; the exact test of Kolmogorov judges.
fn assert_uniform(mut p_values: Vec<f64>) {
    p_values.sort_by(f64::total_cmp);
    let d = ks_distance(&p_values, |p| p.clamp(0.0, 1.0));
    let p = ks_p_value(p_values.len(), d);
    assert!(p > 1e-4, "not uniform: D = {d}, p = {p}");
}

#[test]
fn normal_tails() {
    // Abramowitz and Stegun, table 26.2: Q(2) = 0.02275 01319, Q(5) = 2.8665 15719e-7
    close(normal_p_value(2.0), 2.0 * 0.022_750_131_948, 1e-10);
    close(normal_p_value(-5.0), 2.0 * 2.866_515_719e-7, 1e-9);
    for z in [0.1, 1.0, 4.3, 20.0, 37.0] {
        close(equivalent_deviation(normal_p_value(z)), z, 1e-12);
    }
    assert_eq!(equivalent_deviation(0.0), f64::INFINITY);
    assert_eq!(equivalent_deviation(1.0), 0.0);
}

/// Exponential law: the mean of n is gamma(n), whose tails are Poisson sums.
#[test]
fn skewed_tails_follow_the_gamma_law() {
    let n = 50.0f64;
    let upper = |x: f64| -> f64 {
        let (mut term, mut sum) = ((-x).exp(), 0.0);
        for k in 0..50 {
            sum += term;
            term *= x / f64::from(k + 1);
        }
        sum
    };
    for z in [2.0, 3.0, 4.0] {
        let exact = 2.0 * upper(n + z * n.sqrt());
        close(skewed_p_value(z, 2.0 / n.sqrt()), exact, 0.03);
        let below = 2.0 * (1.0 - upper(n - z * n.sqrt()));
        // cube roots are conservative far below
        close(skewed_p_value(-z, 2.0 / n.sqrt()), below, 0.2);
        // noticed: the normal law is off several times over
        assert!(exact > 1.3 * normal_p_value(z));
    }
    assert_eq!(skewed_p_value(-20.0, 0.2), 0.0);
}

#[test]
fn binomial_probabilities() {
    // by hand: Bin(5, 1/4)
    let (below, above) = binomial_tails(3, 5, 0.25);
    close(above, (90.0 + 15.0 + 1.0) / 1024.0, 1e-14);
    close(below, 1.0 - 16.0 / 1024.0, 1e-14);
    // symmetric: P(K >= n/2) = 1/2 + P(K = n/2)/2
    let (b, a) = binomial_tails(500_000, 1_000_000, 0.5);
    close(a, b, 1e-12);
    close(a, 0.5 + 0.5 * 7.978_843_5e-4, 1e-8);
    // far out: P(K = n) = p^n
    close(binomial_tails(60, 60, 1e-3).1, 1e-180, 1e-12);
    assert_eq!(binomial_tails(0, 9, 0.0), (1.0, 1.0));
    assert_eq!(binomial_p_value(1, 9, 0.0), 0.0);
    assert_eq!(binomial_p_value(9, 9, 1.0), 1.0);
}

/// Clopper and Pearson (1934), their example of n = 10: 0.95 limits; k = 0 has 1 - (alpha/2)^(1/n).
#[test]
fn clopper_pearson_limits() {
    let (low, high) = clopper_pearson(0, 10, 0.05);
    assert_eq!(low, 0.0);
    close(high, 1.0 - 0.025f64.powf(0.1), 1e-12);
    let (low, high) = clopper_pearson(10, 10, 0.05);
    close(low, 0.025f64.powf(0.1), 1e-12);
    assert_eq!(high, 1.0);
    let (low, high) = clopper_pearson(5, 10, 0.05);
    close(low, 0.187_086_028_447_398, 1e-10);
    close(high, 1.0 - low, 1e-10);
    close(binomial_p_value(5, 10, low), 0.05, 1e-9);
}

/// L. H. Miller, J. Amer. Statist. Assoc. 51 (1956): points of the one-sample statistic.
#[test]
fn kolmogorov_points_of_the_tables() {
    // rounded to five decimals in d
    for (n, level, d) in [
        (10, 0.05, 0.409_25),
        (10, 0.01, 0.488_93),
        (20, 0.05, 0.294_08),
        (20, 0.2, 0.231_56),
        (50, 0.01, 0.226_04),
        (100, 0.05, 0.134_03),
        (100, 0.2, 0.105_63),
    ] {
        let p = ks_p_value(n, d);
        assert!((p - level).abs() < 0.004 * level, "n = {n}, d = {d}: {p}");
    }
    // closed forms for n = 1: P(D >= d) = 2 (1 - d) for d >= 1/2
    close(ks_p_value(1, 0.95), 0.1, 0.001);
    // sum and limit meet where one replaces the other
    let n = 100_000;
    for t in [0.5, 1.0, 2.0, 3.0] {
        let d = t / (n as f64).sqrt();
        close(ks_p_value(n + 1, d), ks_p_value(n, d), 2e-3);
    }
    assert_eq!(ks_p_value(1000, 0.0), 1.0);
    assert!(ks_p_value(1000, 0.3) < 1e-70);
}

#[test]
fn distance_is_the_largest_of_all() {
    let mut r = rng(1);
    for n in [1usize, 2, 3, 10, 999] {
        let mut x: Vec<f64> = (0..n).map(|_| r.random::<f64>()).collect();
        x.sort_by(f64::total_cmp);
        let plain = x
            .iter()
            .enumerate()
            .map(|(i, f)| {
                let (a, b) = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
                (f - a).max(b - f)
            })
            .fold(0.0, f64::max);
        let mut calls = 0;
        let quick = ks_distance(&x, |p| {
            calls += 1;
            p
        });
        assert_eq!(plain, quick);
        assert!(
            calls <= n.max(2) && (n < 900 || calls < n),
            "{calls} of {n}"
        );
    }
}

/// All orders of 3 + 3 and 2 + 2 samples, counted by hand.
#[test]
fn two_samples_by_counting() {
    // n = 2: D = 1 in 2 of 6 orders, D >= 1/2 always
    close(ks_two_sample_p_value(2, 2, 1.0), 2.0 / 6.0, 1e-12);
    close(ks_two_sample_p_value(2, 2, 0.5), 1.0, 1e-12);
    // n = 3: 2 of 20, and 12 of 20
    close(ks_two_sample_p_value(3, 3, 1.0), 0.1, 1e-12);
    close(ks_two_sample_p_value(3, 3, 2.0 / 3.0), 0.6, 1e-12);
    assert_eq!(ks_two_sample(&[1.0, 2.0], &[3.0, 4.0]), 1.0);
    assert_eq!(ks_two_sample(&[1.0, 3.0], &[2.0, 4.0]), 0.5);
    assert_eq!(ks_two_sample(&[1.0, 3.0], &[1.0, 3.0]), 0.0);
    // sizes that differ by one hardly differ
    close(
        ks_two_sample_p_value(4000, 4001, 0.03),
        ks_two_sample_p_value(4000, 4000, 0.03),
        0.03,
    );
}

#[test]
fn moments_of_a_small_sample() {
    let m = moments(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0, 1e9 + 6.0]);
    assert_eq!((m.count, m.mean), (4, 1e9 + 3.0));
    close(m.variance, 14.0 / 3.0, 1e-12);
    close(m.fourth_cumulant, 98.0 / 4.0 - 3.0 * 3.5 * 3.5, 1e-12);
}

#[test]
fn p_values_are_uniform_under_the_null() {
    let runs = 1500u64;
    let n = 200;
    let (mut mean, mut variance, mut whole, mut two) = (vec![], vec![], vec![], vec![]);
    for i in 0..runs {
        let mut r = rng(i);
        let mut x: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut r)).collect();
        let m = moments(&x);
        mean.push(normal_p_value(m.mean * f64::from(n).sqrt()));
        variance.push(
            variance_p_value(m.variance, 1.0, 0.0, n as usize)
                .unwrap()
                .1,
        );
        x.sort_by(f64::total_cmp);
        let d = ks_distance(&x, |x| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2));
        whole.push(ks_p_value(n as usize, d));
        let mut y: Vec<f64> = (0..n + 1).map(|_| StandardNormal.sample(&mut r)).collect();
        y.sort_by(f64::total_cmp);
        two.push(ks_two_sample_p_value(
            x.len(),
            y.len(),
            ks_two_sample(&x, &y),
        ));
    }
    // the two-sample statistic is a lattice of 1/(n m): fine enough
    for p_values in [mean, variance, whole, two] {
        assert_uniform(p_values);
    }
}

/// A discrete p-value is conservative: P(p <= t) <= t, exactly.
#[test]
fn binomial_p_values_never_overstate() {
    for (n, p) in [(20u64, 0.3), (50, 0.02), (200, 0.5)] {
        for t in [0.001, 0.01, 0.05, 0.3] {
            let size: f64 = (0..=n)
                .filter(|k| binomial_p_value(*k, n, p) <= t)
                .map(|k| super::binomial::mass(k as f64, n as f64, p))
                .sum();
            assert!(size <= t * (1.0 + 1e-12), "{n} {p} {t}: {size}");
        }
    }
}
