//! Roots of functions of one variable.

/// Root of `f` between `a` and `b`, where `f` takes values `fa` and `fb` of opposite signs, to the
/// spacing of `f64`: bisection with inverse quadratic interpolation where that is safe
/// (Chandrupatla, Adv. Eng. Software 28, 1997).
pub(crate) fn bracketed(
    mut f: impl FnMut(f64) -> f64,
    (a, fa): (f64, f64),
    (b, fb): (f64, f64),
) -> f64 {
    let (mut a, mut fa, mut b, mut fb) = (a, fa, b, fb);
    let mut t = 0.5;
    for _ in 0..200 {
        let x = a + t * (b - a);
        let fx = f(x);
        let (c, fc) = if (fx > 0.0) == (fa > 0.0) {
            (a, fa)
        } else {
            let old = (b, fb);
            (b, fb) = (a, fa);
            old
        };
        (a, fa) = (x, fx);
        let (best, least) = if fa.abs() < fb.abs() {
            (a, fa)
        } else {
            (b, fb)
        };
        let limit = 2.0 * f64::EPSILON * best.abs().max(1e-3) / (b - a).abs();
        if limit > 0.5 || least == 0.0 {
            return best;
        }
        let (xi, phi) = ((a - b) / (c - b), (fa - fb) / (fc - fb));
        t = if phi * phi < xi && (1.0 - phi).powi(2) < 1.0 - xi {
            fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        } else {
            0.5
        };
        t = t.clamp(limit, 1.0 - limit);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_and_multiple_roots() {
        let root = |f: &dyn Fn(f64) -> f64, a: f64, b: f64| bracketed(f, (a, f(a)), (b, f(b)));
        assert!((root(&|x| x.cos(), 0.0, 3.0) - std::f64::consts::FRAC_PI_2).abs() < 1e-15);
        assert!((root(&|x| x.exp() - 5.0, -3.0, 9.0) - 5f64.ln()).abs() < 1e-15);
        assert!((root(&|x| (x - 0.3).powi(3), -1.0, 5.0) - 0.3).abs() < 1e-5);
        // a jump is found to the spacing of the numbers
        let jump = root(&|x| if x > 0.7 { 1.0 } else { -1.0 }, 0.0, 1.0);
        assert!((jump - 0.7).abs() < 1e-15);
    }

    #[test]
    fn few_evaluations() {
        let mut count = 0;
        let f = |x: f64| x.tanh() - 0.25;
        bracketed(
            |x| {
                count += 1;
                f(x)
            },
            (-4.0, f(-4.0)),
            (9.0, f(9.0)),
        );
        assert!(count < 20, "{count}");
    }
}
