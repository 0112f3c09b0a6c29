//! Structural rank: the largest number of non-zero entries no two of which share a row or column.

use super::view::MatrixRef;
use std::collections::VecDeque;

/// Size of a maximum matching between rows and columns over the non-zero entries (Hopcroft and
/// Karp, SIAM J. Comput. 2, 1973): an upper bound on the rank of any matrix with this pattern.
pub(super) fn structural_rank(a: &MatrixRef<'_>) -> usize {
    let (m, n) = (a.rows(), a.cols());
    let neighbours: Vec<Vec<u32>> = (0..m)
        .map(|i| {
            (0..n as u32)
                .filter(|&j| a.get(i, j as usize) != (0.0, 0.0))
                .collect()
        })
        .collect();
    let mut matching = Matching {
        neighbours: &neighbours,
        of_row: vec![None; m],
        of_col: vec![None; n],
        level: vec![0; m],
        next: vec![0; m],
    };
    let mut size = matching.greedy();
    while size < m.min(n) && matching.layers() {
        matching.next.fill(0);
        let mut grown = 0;
        for i in 0..m {
            if matching.of_row[i].is_none() && matching.augment(i) {
                grown += 1;
            }
        }
        if grown == 0 {
            break;
        }
        size += grown;
    }
    size
}

struct Matching<'a> {
    neighbours: &'a [Vec<u32>],
    of_row: Vec<Option<u32>>,
    of_col: Vec<Option<u32>>,
    /// Distance of a row from the free rows along alternating paths.
    level: Vec<u32>,
    /// Neighbours of a row already tried in this phase.
    next: Vec<usize>,
}

const UNREACHED: u32 = u32::MAX;

impl Matching<'_> {
    fn greedy(&mut self) -> usize {
        let mut size = 0;
        for (i, row) in self.neighbours.iter().enumerate() {
            if let Some(&j) = row.iter().find(|&&j| self.of_col[j as usize].is_none()) {
                self.of_row[i] = Some(j);
                self.of_col[j as usize] = Some(i as u32);
                size += 1;
            }
        }
        size
    }

    /// Breadth-first layers from the free rows; whether a free column was reached.
    fn layers(&mut self) -> bool {
        let mut queue = VecDeque::new();
        for (i, level) in self.level.iter_mut().enumerate() {
            *level = UNREACHED;
            if self.of_row[i].is_none() {
                *level = 0;
                queue.push_back(i);
            }
        }
        let mut reached = false;
        while let Some(i) = queue.pop_front() {
            for &j in &self.neighbours[i] {
                match self.of_col[j as usize] {
                    None => reached = true,
                    Some(k) if self.level[k as usize] == UNREACHED => {
                        self.level[k as usize] = self.level[i] + 1;
                        queue.push_back(k as usize);
                    }
                    Some(_) => {}
                }
            }
        }
        reached
    }

    /// Depth-first search for an augmenting path from a free row, without recursion.
    fn augment(&mut self, start: usize) -> bool {
        let mut path = vec![start];
        while let Some(&i) = path.last() {
            let Some(&j) = self.neighbours[i].get(self.next[i]) else {
                path.pop();
                continue;
            };
            self.next[i] += 1;
            match self.of_col[j as usize] {
                None => {
                    // Shift the matching along the path, from its end.
                    let mut free = j;
                    while let Some(i) = path.pop() {
                        let before = self.of_row[i].replace(free);
                        self.of_col[free as usize] = Some(i as u32);
                        match before {
                            Some(j) => free = j,
                            None => break,
                        }
                    }
                    return true;
                }
                Some(k) if self.level[k as usize] == self.level[i] + 1 => {
                    path.push(k as usize);
                }
                Some(_) => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Largest matching by trying every column for every row.
    fn exhaustive(pattern: &[Vec<bool>], row: usize, used: &mut Vec<bool>) -> usize {
        if row == pattern.len() {
            return 0;
        }
        let mut best = exhaustive(pattern, row + 1, used);
        for j in 0..used.len() {
            if pattern[row][j] && !used[j] {
                used[j] = true;
                best = best.max(1 + exhaustive(pattern, row + 1, used));
                used[j] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn agrees_with_exhaustive_search(m in 1usize..7, n in 1usize..7, bits: u64) {
            let pattern: Vec<Vec<bool>> = (0..m)
                .map(|i| (0..n).map(|j| bits >> (i * n + j) & 1 == 1).collect())
                .collect();
            let data: Vec<f64> = pattern.iter().flatten().map(|&b| f64::from(u8::from(b))).collect();
            let a = MatrixRef::row_major(&data, m, n).unwrap();
            prop_assert_eq!(structural_rank(&a), exhaustive(&pattern, 0, &mut vec![false; n]));
        }
    }
}
