//! Decimal digits: exactly as many as are known, limits rounded outward.
//!
//! ```
//! use isometer::report::number::{Rounding, decimal, limits_text, value_text};
//! use isometer::scale::Enclosure;
//!
//! assert_eq!(decimal(2.0 / 3.0, 3, Rounding::Nearest), "0.667");
//! assert_eq!(decimal(2.0 / 3.0, 3, Rounding::Down), "0.666"); // a lower limit stays one
//! let e = Enclosure::new(1.2345, 1.23446, 1.23457, 0).unwrap();
//! assert_eq!((value_text(&e, 10), limits_text(&e)), ("1.234".into(), "1.234[4, 6]".into()));
//! ```

use crate::scale::Enclosure;

/// Which way digits are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest decimal.
    Nearest,
    /// Towards zero: a lower limit stays one.
    Down,
    /// Away from zero: an upper limit stays one.
    Up,
}

/// Most significant digits a table shows of one number.
pub const MOST_DIGITS: usize = 10;

/// A non-negative decimal `d.ddd * 10^exponent` with a fixed number of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decimal {
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// `digits` (at least one) significant digits of a finite `x >= 0`, rounded from its exact
    /// decimal expansion (a double has at most 767 significant digits).
    fn from_f64(x: f64, digits: usize, rounding: Rounding) -> Decimal {
        let keep = digits.max(1);
        let shown = match rounding {
            Rounding::Nearest => keep - 1,
            Rounding::Down | Rounding::Up => 770,
        };
        let text = format!("{x:.shown$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mut all: Vec<u8> = mantissa
            .bytes()
            .filter(u8::is_ascii_digit)
            .map(|b| b - b'0')
            .collect();
        let mut exponent: i64 = exponent.parse().unwrap_or(0);
        let rest = all.split_off(keep.min(all.len()));
        if rounding == Rounding::Up && rest.iter().any(|&d| d != 0) {
            let mut at = all.len();
            loop {
                if at == 0 {
                    all.insert(0, 1);
                    all.pop();
                    exponent += 1;
                    break;
                }
                at -= 1;
                if all[at] < 9 {
                    all[at] += 1;
                    break;
                }
                all[at] = 0;
            }
        }
        Decimal {
            digits: all,
            exponent,
        }
    }

    /// The decimal of `10^log10` for magnitudes that no double holds.
    fn from_log10(log10: f64, digits: usize, rounding: Rounding) -> Decimal {
        let whole = log10.floor();
        // 10^fraction is good to a few ulps; widen before the digits are cut.
        let mantissa = 10f64.powf(log10 - whole);
        let slack = 8.0 * f64::EPSILON;
        let mantissa = match rounding {
            Rounding::Nearest => mantissa,
            Rounding::Down => (mantissa * (1.0 - slack)).max(1.0),
            Rounding::Up => mantissa * (1.0 + slack),
        };
        let mut d = Decimal::from_f64(mantissa, digits, rounding);
        d.exponent += whole as i64;
        d
    }

    /// Plain notation where it is short and every printed digit is meant, else scientific.
    fn layout(&self) -> String {
        let text: String = self.digits.iter().map(|d| char::from(b'0' + d)).collect();
        if self.digits.iter().all(|&d| d == 0) {
            return "0".into();
        }
        if (-4..0).contains(&self.exponent) {
            let zeros = "0".repeat((-self.exponent - 1) as usize);
            return format!("0.{zeros}{text}");
        }
        if self.exponent >= 0 && (self.exponent as usize) < self.digits.len() {
            let (whole, fraction) = text.split_at(self.exponent as usize + 1);
            return if fraction.is_empty() {
                whole.into()
            } else {
                format!("{whole}.{fraction}")
            };
        }
        let (first, rest) = text.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        format!("{first}{point}{rest}e{}", self.exponent)
    }
}

/// A finite or infinite `x >= 0` with so many significant digits.
///
/// # Examples
/// ```
/// use isometer::report::number::{Rounding, decimal};
/// assert_eq!((decimal(0.1, 2, Rounding::Up), decimal(0.1, 2, Rounding::Nearest)), ("0.11".into(), "0.10".into()));
/// ```
pub fn decimal(x: f64, digits: usize, rounding: Rounding) -> String {
    if x.is_infinite() {
        return "inf".into();
    }
    Decimal::from_f64(x, digits, rounding).layout()
}

/// The magnitude `10^log10` with so many significant digits.
///
/// # Examples
/// ```
/// use isometer::report::number::{Rounding, decimal_of_log10};
/// assert_eq!(decimal_of_log10(1000.0 + 2f64.log10(), 2, Rounding::Nearest), "2.0e1000");
/// ```
pub fn decimal_of_log10(log10: f64, digits: usize, rounding: Rounding) -> String {
    if log10 == f64::NEG_INFINITY {
        "0".into()
    } else if log10 == f64::INFINITY {
        "inf".into()
    } else {
        Decimal::from_log10(log10, digits, rounding).layout()
    }
}

/// Number of significant digits of the value that the limits agree on, at most [`MOST_DIGITS`];
/// 0 when they do not even agree on the order of magnitude.
///
/// # Examples
/// ```
/// use isometer::report::number::known_digits;
/// use isometer::scale::Enclosure;
/// assert_eq!(known_digits(&Enclosure::new(5.0, 1.0, 200.0, 0).unwrap()), 0);
/// assert!(known_digits(&Enclosure::new(1.2345, 1.23446, 1.23454, 0).unwrap()) >= 4);
/// ```
pub fn known_digits(e: &Enclosure) -> usize {
    let (value, lo, hi) = e.log10();
    if e.is_zero() || lo == hi || e.relative_width() == 0.0 {
        return MOST_DIGITS;
    }
    if !lo.is_finite() || !hi.is_finite() {
        return 0;
    }
    // One unit of digit d of v is 10^(floor(log10 v) - d + 1); the limits are that close when
    // hi - lo <= unit.
    let width = lo + e.relative_width().log10();
    let digits = (value.floor() + 1.0 - width).floor();
    digits.clamp(0.0, MOST_DIGITS as f64) as usize
}

/// The value with the digits its limits agree on, at most `most`; `>= lo` where there is no upper
/// limit, `<= hi` where there is no lower one.
///
/// # Examples
/// ```
/// use isometer::report::number::value_text;
/// use isometer::scale::Enclosure;
/// let unbounded = Enclosure::new(1e9, 1e8, f64::INFINITY, 0).unwrap();
/// assert!(value_text(&unbounded, 4).starts_with(">= "));
/// ```
pub fn value_text(e: &Enclosure, most: usize) -> String {
    let (value, lo, hi) = e.log10();
    if lo == f64::INFINITY {
        return "inf".into();
    }
    if hi == f64::NEG_INFINITY {
        return "0".into();
    }
    let known = known_digits(e).min(most);
    match (lo == f64::NEG_INFINITY, hi == f64::INFINITY) {
        (true, true) => "unknown".into(),
        (false, true) => format!(">= {}", limit_text(e, 3, Rounding::Down)),
        (true, false) => format!("<= {}", limit_text(e, 3, Rounding::Up)),
        (false, false) if known == 0 => {
            format!(
                "{}..{}",
                limit_text(e, 2, Rounding::Down),
                limit_text(e, 2, Rounding::Up)
            )
        }
        (false, false) => {
            let text = match e.to_linear() {
                Some((v, _, _)) => decimal(v, known, Rounding::Nearest),
                None => decimal_of_log10(value, known, Rounding::Nearest),
            };
            if e.relative_width() == 0.0 {
                trim_zeros(text)
            } else {
                text
            }
        }
    }
}

/// The limits with one digit more than they agree on, rounded outward: `190.57910[7, 8]`;
/// `exact` for a point.
///
/// # Examples
/// ```
/// use isometer::report::number::limits_text;
/// use isometer::scale::Enclosure;
/// assert_eq!(limits_text(&Enclosure::point(2.5, 0).unwrap()), "exact");
/// ```
pub fn limits_text(e: &Enclosure) -> String {
    if e.relative_width() == 0.0 {
        return "exact".into();
    }
    let digits = (known_digits(e) + 1).max(3);
    let lo = limit_text(e, digits, Rounding::Down);
    let hi = limit_text(e, digits, Rounding::Up);
    let (lo_digits, lo_tail) = split_exponent(&lo);
    let (hi_digits, hi_tail) = split_exponent(&hi);
    let shared = lo_digits
        .bytes()
        .zip(hi_digits.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    if lo_tail == hi_tail && lo_digits.len() == hi_digits.len() && shared >= 3 && lo != hi {
        let (head, low) = lo_digits.split_at(shared);
        return format!("{head}[{low}, {}]{lo_tail}", &hi_digits[shared..]);
    }
    format!("[{lo}, {hi}]")
}

/// One limit: the lower one for [`Rounding::Down`], the upper one otherwise.
fn limit_text(e: &Enclosure, digits: usize, rounding: Rounding) -> String {
    let (_, log_lo, log_hi) = e.log10();
    let down = rounding == Rounding::Down;
    let log = if down { log_lo } else { log_hi };
    match e.to_linear() {
        Some((_, lo, hi)) => {
            let x = if down { lo } else { hi };
            // A limit that left the range of f64 while the value did not.
            let lost = (x == 0.0 && log.is_finite()) || (x.is_infinite() && log.is_finite());
            if lost {
                decimal_of_log10(log, digits, rounding)
            } else {
                decimal(x, digits, rounding)
            }
        }
        None => decimal_of_log10(log, digits, rounding),
    }
}

fn split_exponent(text: &str) -> (&str, &str) {
    text.find('e').map_or((text, ""), |at| text.split_at(at))
}

fn trim_zeros(text: String) -> String {
    let (digits, tail) = split_exponent(&text);
    if !digits.contains('.') {
        return text;
    }
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_dropped_in_the_direction_asked_for() {
        assert_eq!(decimal(190.579107, 5, Rounding::Down), "190.57");
        assert_eq!(decimal(190.579107, 5, Rounding::Up), "190.58");
        assert_eq!(decimal(9.9999, 3, Rounding::Up), "10.0");
        assert_eq!(decimal(0.1, 20, Rounding::Down), "0.10000000000000000555");
        assert_eq!(decimal(0.25, 2, Rounding::Up), "0.25");
        assert_eq!(decimal(1e300, 3, Rounding::Down), "1.00e300");
        assert_eq!(decimal(0.0, 3, Rounding::Up), "0");
    }

    #[test]
    fn a_decimal_half_an_ulp_off_would_be_noticed() {
        // 0.1 as stored is above one tenth: a lower limit of one digit is 0.1, an upper one 0.2.
        assert_eq!(decimal(0.1, 1, Rounding::Down), "0.1");
        assert_eq!(decimal(0.1, 1, Rounding::Up), "0.2");
    }

    #[test]
    fn values_show_the_digits_that_are_known() {
        let e = Enclosure::new(190.579107, 190.5791069, 190.5791072, 0).unwrap();
        assert_eq!(value_text(&e, MOST_DIGITS), "190.579107");
        assert!(
            limits_text(&e).starts_with("190.57910["),
            "{}",
            limits_text(&e)
        );
        let wide = Enclosure::new(2.0, 1.0, 5.0, 0).unwrap();
        assert_eq!(limits_text(&wide), "[1.00, 5.00]");
        let floor = Enclosure::new(1e19, 9.2e18, f64::INFINITY, 0).unwrap();
        assert!(value_text(&floor, 6).starts_with(">= 9."));
        assert_eq!(value_text(&Enclosure::infinite(), 6), "inf");
        assert_eq!(value_text(&Enclosure::ZERO, 6), "0");
        assert_eq!(value_text(&Enclosure::point(1.0, 0).unwrap(), 6), "1");
    }

    #[test]
    fn magnitudes_beyond_f64_keep_their_digits() {
        let top = Enclosure::point(1e300, 0).unwrap();
        let cond = top.ratio(&Enclosure::point(1e-300, 0).unwrap());
        assert_eq!(value_text(&cond, 6), "1.00000e600");
        let (_, lo, hi) = cond.log10();
        assert!(lo <= 600.0 && 600.0 <= hi && hi - lo < 1e-10);
    }

    proptest! {
        #[test]
        fn outward_digits_enclose_the_number(bits in 0u64..0x7ff0_0000_0000_0000, digits in 1usize..18) {
            let x = f64::from_bits(bits);
            // Decimal parsing is correctly rounded, hence monotone.
            let lo: f64 = decimal(x, digits, Rounding::Down).parse().unwrap();
            let hi: f64 = decimal(x, digits, Rounding::Up).parse().unwrap();
            prop_assert!(lo <= x && x <= hi);
        }

        #[test]
        fn outward_digits_of_logarithms_enclose(log in -5000.0f64..5000.0, digits in 1usize..14) {
            let parse = |s: String| -> f64 {
                let (m, e) = s.split_once('e').map_or((s.as_str(), 0.0), |(m, e)| (m, e.parse().unwrap()));
                m.parse::<f64>().unwrap().log10() + e
            };
            prop_assume!(log.abs() > 301.0);
            let ulps = 4.0 * f64::EPSILON * log.abs();
            prop_assert!(parse(decimal_of_log10(log, digits, Rounding::Down)) <= log + ulps);
            prop_assert!(parse(decimal_of_log10(log, digits, Rounding::Up)) >= log - ulps);
        }
    }
}
