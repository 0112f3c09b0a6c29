//! interim
use super::args::Filter;
use std::io::Read;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{0}: no such file or directory{1}")]
    Missing(String, String),
    #[error("{0}: {1}")]
    Bad(String, String),
}
impl SourceError {
    pub fn kind(&self) -> &'static str {
        match self {
            SourceError::Missing(..) => "not-found",
            _ => "unreadable",
        }
    }
}
pub struct Tensor {
    data: Vec<f64>,
    rows: usize,
    cols: usize,
}
impl Tensor {
    pub fn matrix(&self) -> isometer::linalg::view::MatrixRef<'_> {
        isometer::linalg::view::MatrixRef::row_major(&self.data, self.rows, self.cols).unwrap()
    }
}
pub fn matrix(t: &Tensor) -> Result<isometer::linalg::view::MatrixRef<'_>, SourceError> {
    Ok(t.matrix())
}
pub struct Item {
    pub source: String,
    pub label: String,
    pub shape: Vec<usize>,
    pub skip: Option<(isometer::report::cond::SkipKind, String)>,
    text: String,
}
pub struct Opened {
    pub items: Vec<Item>,
}
pub fn open(sources: &[String], _filter: &Filter) -> anyhow::Result<Opened> {
    let mut items = vec![];
    for s in sources {
        let mut text = String::new();
        if s == "-" {
            std::io::stdin().read_to_string(&mut text)?;
        } else {
            text = std::fs::read_to_string(s)
                .map_err(|_| SourceError::Missing(s.clone(), String::new()))?;
        }
        let rows = text.lines().count();
        let cols = text.lines().next().unwrap_or("").split_whitespace().count();
        items.push(Item {
            source: s.clone(),
            label: s.clone(),
            shape: vec![rows, cols],
            skip: None,
            text,
        });
    }
    Ok(Opened { items })
}
impl Opened {
    pub fn load(&self, i: usize) -> Result<Tensor, SourceError> {
        let it = &self.items[i];
        let data: Vec<f64> = it
            .text
            .split_whitespace()
            .map(|w| {
                w.parse::<f64>()
                    .map_err(|e| SourceError::Bad(it.source.clone(), e.to_string()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Tensor {
            data,
            rows: it.shape[0],
            cols: it.shape[1],
        })
    }
}
