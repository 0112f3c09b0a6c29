//! Classical test matrices, each entry correctly rounded to `f64` from its definition.

use dashu_int::ops::UnsignedAbs;
use dashu_int::{IBig, Sign, UBig};

/// A dense row-major matrix of `f64`.
#[derive(Clone, Debug)]
pub struct Dense {
    pub rows: usize,
    pub cols: usize,
    pub data: Vec<f64>,
}

impl Dense {
    /// Entries from 1-based indices, as the literature writes them.
    pub fn from_fn(rows: usize, cols: usize, f: impl Fn(i64, i64) -> f64) -> Dense {
        let data = (0..rows * cols)
            .map(|t| f((t / cols) as i64 + 1, (t % cols) as i64 + 1))
            .collect();
        Dense { rows, cols, data }
    }
}

/// `num / den` rounded to the nearest `f64`, ties to even (normal range only).
pub fn round_ratio(num: &IBig, den: &IBig) -> f64 {
    if *num == IBig::ZERO {
        return 0.0;
    }
    let negative = num.sign() != den.sign();
    let (num, den) = (num.unsigned_abs(), den.unsigned_abs());
    let length = |x: &UBig| {
        let bytes = x.to_le_bytes();
        bytes.len() as i64 * 8 - i64::from(bytes.last().map_or(0, |b| b.leading_zeros()))
    };
    // A quotient of at least 64 bits, its lowest bit sticky: rounding it once more is correct.
    let shift = 66 - (length(&num) - length(&den));
    let (num, den) = if shift >= 0 {
        (num << shift as usize, den)
    } else {
        (num, den << (-shift) as usize)
    };
    let q = &num / &den;
    let inexact = &q * &den != num;
    let q = q | UBig::from(u8::from(inexact));
    let x = q.to_f64().value() * 2f64.powi(-shift as i32);
    if negative { -x } else { x }
}

fn ratio(num: i64, den: i64) -> f64 {
    // Both are exact, so one division rounds once.
    num as f64 / den as f64
}

fn binomial(n: i64, k: i64) -> i128 {
    if k < 0 || k > n {
        return 0;
    }
    (0..i128::from(k)).fold(1, |c, i| c * (i128::from(n) - i) / (i + 1))
}

pub fn hilbert(m: usize, n: usize) -> Dense {
    Dense::from_fn(m, n, |i, j| ratio(1, i + j - 1))
}

pub fn inverse_hilbert(n: usize) -> Dense {
    let k = n as i64;
    Dense::from_fn(n, n, |i, j| {
        let sign = if (i + j) % 2 == 0 { 1 } else { -1 };
        let c = binomial(i + j - 2, i - 1);
        let x = i128::from(sign * (i + j - 1))
            * binomial(k + i - 1, k - j)
            * binomial(k + j - 1, k - i)
            * c
            * c;
        x as f64
    })
}

pub fn pascal(m: usize, n: usize) -> Dense {
    Dense::from_fn(m, n, |i, j| binomial(i + j - 2, i - 1) as f64)
}

pub fn frank(n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| {
        if j >= i - 1 {
            (n as i64 + 1 - i.max(j)) as f64
        } else {
            0.0
        }
    })
}

/// `diag(s^(i-1)) (I - c striu(1))` with `s = sin 1.2`, `c = cos 1.2`.
pub fn kahan(n: usize) -> Dense {
    const DIGITS: usize = 60;
    let constant = |digits: &str| {
        digits
            .bytes()
            .fold(IBig::ZERO, |x, d| x * 10u8 + (d - b'0'))
    };
    let s = constant("932039085967226349670134435494825995415070588208730735366597");
    let c = constant("362357754476673577638373355623076020339947785576646622486487");
    let ten = IBig::from(10).pow(DIGITS);
    Dense::from_fn(n, n, |i, j| {
        let power = (i - 1) as usize;
        let (num, den) = (s.pow(power), ten.pow(power));
        match j.cmp(&i) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => round_ratio(&num, &den),
            std::cmp::Ordering::Greater => -round_ratio(&(num * &c), &(den * &ten)),
        }
    })
}

/// `[ones(1, n); mu I]`.
pub fn lauchli(n: usize, mu: f64) -> Dense {
    Dense::from_fn(n + 1, n, |i, j| match i {
        1 => 1.0,
        _ if i == j + 1 => mu,
        _ => 0.0,
    })
}

/// `x_i^(j-1)` with `x_i = (i-1)/(m-1)`.
pub fn vandermonde(m: usize, n: usize) -> Dense {
    Dense::from_fn(m, n, |i, j| {
        let power = (j - 1) as usize;
        let den = IBig::from((m as i64 - 1).max(1));
        round_ratio(&IBig::from(i - 1).pow(power), &den.pow(power))
    })
}

pub fn moler(n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| {
        if i == j {
            i as f64
        } else {
            (i.min(j) - 2) as f64
        }
    })
}

pub fn grcar(n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| match j - i {
        -1 => -1.0,
        0..=3 => 1.0,
        _ => 0.0,
    })
}

pub fn clement(n: usize) -> Dense {
    let k = n as i64;
    Dense::from_fn(n, n, |i, j| match j - i {
        1 => i as f64,
        -1 => (k - j) as f64,
        _ => 0.0,
    })
}

pub fn clement_symmetric(n: usize) -> Dense {
    let k = n as i64;
    Dense::from_fn(n, n, |i, j| {
        let t = i.min(j);
        if (i - j).abs() == 1 {
            ((t * (k - t)) as f64).sqrt()
        } else {
            0.0
        }
    })
}

pub fn wilkinson(n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| match (i - j).abs() {
        0 => (i as f64 - (n as f64 + 1.0) / 2.0).abs(),
        1 => 1.0,
        _ => 0.0,
    })
}

/// MATLAB's `magic(n)`.
pub fn magic(n: usize) -> Dense {
    let k = n as i64;
    let odd = |n: i64, i: i64, j: i64| {
        let a = (i + j - (n + 3) / 2).rem_euclid(n);
        let b = (i + 2 * j - 2).rem_euclid(n);
        n * a + b + 1
    };
    if n % 2 == 1 {
        return Dense::from_fn(n, n, |i, j| odd(k, i, j) as f64);
    }
    if n.is_multiple_of(4) {
        return Dense::from_fn(n, n, |i, j| {
            // MATLAB numbers down the columns of the transpose: row by row.
            let x = (i - 1) * k + j;
            let keep = (i % 4) / 2 == (j % 4) / 2;
            (if keep { k * k + 1 - x } else { x }) as f64
        });
    }
    // Singly even: four copies of an odd square, then exchanges between upper and lower half.
    let (p, m) = (k / 2, (k - 2) / 4);
    Dense::from_fn(n, n, |i, j| {
        let (r, c) = ((i - 1) % p + 1, (j - 1) % p + 1);
        let exchanged = match (j <= p, r == (p + 1) / 2) {
            (true, false) => j <= m,
            (true, true) => j >= 2 && j <= m + 1,
            (false, _) => j > k - m + 1,
        };
        let upper = (i <= p) != exchanged;
        let offset = match (upper, j <= p) {
            (true, true) => 0,
            (true, false) => 2,
            (false, true) => 3,
            (false, false) => 1,
        };
        (odd(p, r, c) + offset * p * p) as f64
    })
}

pub fn lehmer(n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| ratio(i.min(j), i.max(j)))
}

pub fn min_ij(n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| i.min(j) as f64)
}

/// `1 / (i - j + 1/2)`.
pub fn parter(n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| ratio(2, 2 * (i - j) + 1))
}

/// MATLAB's `gallery('dramadah', n, k)`: Toeplitz matrices of zeros and ones.
pub fn dramadah(n: usize, k: u8) -> Dense {
    Dense::from_fn(n, n, |i, j| {
        let (below, above) = (i - j, j - i);
        let one = match k {
            1 if below >= 0 => below % 4 == 0 || below % 4 == 3,
            1 => above == 1 || above == 3,
            2 if below > 0 => false,
            2 => above == 0 || above % 2 == 1,
            _ if below >= 0 => below % 2 == 0,
            _ => above == 1,
        };
        f64::from(u8::from(one))
    })
}

/// The matrix of a row of `tests/data/reference/gallery.csv`; `None` for an unknown name.
pub fn by_name(name: &str, n: usize) -> Option<Dense> {
    Some(match name {
        "hilbert" => hilbert(n, n),
        "invhilb" => inverse_hilbert(n),
        "pascal" => pascal(n, n),
        "frank" => frank(n),
        "kahan" => kahan(n),
        "lauchli_1e-4" => lauchli(n, 1e-4),
        "lauchli_2^-26" => lauchli(n, 2f64.powi(-26)),
        "lauchli_2^-52" => lauchli(n, 2f64.powi(-52)),
        "vandermonde" => vandermonde(n, n),
        "moler" => moler(n),
        "grcar" => grcar(n),
        "clement" => clement(n),
        "clement_sym" => clement_symmetric(n),
        "wilkinson" => wilkinson(n),
        "magic" => magic(n),
        "lehmer" => lehmer(n),
        "minij" => min_ij(n),
        "parter" => parter(n),
        "dramadah_k1" => dramadah(n, 1),
        "dramadah_k2" => dramadah(n, 2),
        "dramadah_k3" => dramadah(n, 3),
        _ => return None,
    })
}

/// A decimal such as `1.25e-3` as numerator and denominator.
pub fn decimal(text: &str) -> Option<(IBig, IBig)> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let num: IBig = digits.parse().ok()?;
    let e = exponent.parse::<i64>().ok()? - fraction.len() as i64;
    let power = IBig::from(10).pow(e.unsigned_abs() as usize);
    Some(if e >= 0 {
        (num * power, IBig::ONE)
    } else {
        (num, power)
    })
}

/// A finite number times a power of two, as numerator and denominator.
pub fn dyadic(x: f64, exponent: i64) -> (IBig, IBig) {
    let bits = x.abs().to_bits();
    let biased = (bits >> 52) as i64;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, e) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    let sign = if x < 0.0 {
        Sign::Negative
    } else {
        Sign::Positive
    };
    let num = IBig::from_parts(sign, UBig::from(mantissa));
    let e = e + exponent;
    if e >= 0 {
        (num << e as usize, IBig::ONE)
    } else {
        (num, IBig::ONE << (-e) as usize)
    }
}
