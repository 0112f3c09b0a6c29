//! Descent on the certificate by limited-memory BFGS.

use super::objective::{Objective, Point, State};
use std::collections::VecDeque;

/// Corrections kept.
const MEMORY: usize = 12;

/// Improves a feasible point; stops after `iterations`, or when ten steps gain less than `tolerance`
/// in the logarithm of the squared bound. Returns the best state met.
pub fn descend(
    objective: &Objective<'_>,
    start: Point,
    iterations: usize,
    tolerance: f64,
) -> Option<(Point, State)> {
    let mut x = start;
    let mut state = objective.at(&x)?;
    let mut gradient = objective.gradient(&state);
    let mut history: VecDeque<(Point, Point, f64)> = VecDeque::new();
    let mut values = vec![state.value];
    for _ in 0..iterations {
        let mut direction = two_loops(&history, &gradient);
        let mut slope = dot(&direction, &gradient);
        if !(slope < 0.0) {
            history.clear();
            direction = scaled(&gradient, -1.0);
            slope = dot(&direction, &gradient);
        }
        if !(slope < 0.0) {
            break;
        }
        // no coordinate moves by more than a factor e in one step
        let longest = direction
            .iter()
            .flatten()
            .fold(0.0f64, |m, d| m.max(d.abs()));
        let mut step = (1.0 / longest).min(1.0);
        if history.is_empty() {
            step = step.min(0.3 / longest);
        }
        let mut accepted = None;
        for _ in 0..30 {
            let trial = moved(&x, &direction, step);
            if let Some(next) = objective.at(&trial)
                && next.value <= state.value + 1e-4 * step * slope
            {
                accepted = Some((trial, next));
                break;
            }
            step *= 0.5;
        }
        let Some((trial, next)) = accepted else {
            if history.is_empty() {
                break;
            }
            history.clear();
            continue;
        };
        let next_gradient = objective.gradient(&next);
        let s = difference(&trial, &x);
        let y = difference(&next_gradient, &gradient);
        let curvature = dot(&s, &y);
        if curvature > 1e-12 * dot(&y, &y).sqrt() * dot(&s, &s).sqrt() {
            if history.len() == MEMORY {
                history.pop_front();
            }
            history.push_back((s, y, 1.0 / curvature));
        }
        (x, state, gradient) = (trial, next, next_gradient);
        values.push(state.value);
        if values.len() > 10 && values[values.len() - 11] - state.value < tolerance {
            break;
        }
    }
    Some((x, state))
}

/// Nocedal's two loops: minus the approximate inverse Hessian times the gradient.
fn two_loops(history: &VecDeque<(Point, Point, f64)>, gradient: &Point) -> Point {
    let mut q = scaled(gradient, -1.0);
    let mut weights = Vec::with_capacity(history.len());
    for (s, y, rho) in history.iter().rev() {
        let a = rho * dot(s, &q);
        q = moved(&q, y, -a);
        weights.push(a);
    }
    if let Some((s, y, _)) = history.back() {
        q = scaled(&q, dot(s, y) / dot(y, y));
    }
    for ((s, y, rho), a) in history.iter().zip(weights.into_iter().rev()) {
        let b = rho * dot(y, &q);
        q = moved(&q, s, a - b);
    }
    q
}

fn dot(x: &Point, y: &Point) -> f64 {
    let pairs = x.iter().flatten().zip(y.iter().flatten());
    pairs.map(|(a, b)| a * b).sum()
}

fn scaled(x: &Point, t: f64) -> Point {
    let layer = |l: &Vec<f64>| l.iter().map(|a| a * t).collect();
    x.iter().map(layer).collect()
}

fn moved(x: &Point, d: &Point, t: f64) -> Point {
    let layer = |(l, d): (&Vec<f64>, &Vec<f64>)| l.iter().zip(d).map(|(a, b)| a + t * b).collect();
    x.iter().zip(d).map(layer).collect()
}

fn difference(x: &Point, y: &Point) -> Point {
    moved(x, y, -1.0)
}
