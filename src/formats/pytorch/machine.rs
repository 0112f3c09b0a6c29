//! The stack machine that a pickle is written for, without the instructions that call anything.

use super::pickle::{Node, Object, Pickle, PickleError, Span, Value};
use std::collections::HashMap;

/// Longest pickle: tensors lie outside it, so that a gibibyte names millions of them.
const LONGEST: usize = 1 << 30;
/// Most objects with parts.
const MOST_NODES: usize = 1 << 24;

/// The state of the machine.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The instruction being carried out.
    start: usize,
    opcode: u8,
    stack: Vec<Value>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    nodes: Vec<Node>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Machine<'a> {
        Machine {
            bytes,
            at: 0,
            start: 0,
            opcode: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Pickle<'a>, PickleError> {
        loop {
            self.start = self.at;
            if self.at > LONGEST {
                return Err(self.limit("bytes", LONGEST));
            }
            self.opcode = self.take(1)?[0];
            if self.opcode == b'.' {
                let root = self.pop()?;
                return Ok(Pickle {
                    bytes: self.bytes,
                    nodes: self.nodes,
                    root,
                    end: self.at,
                });
            }
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<(), PickleError> {
        match self.opcode {
            // Framing says nothing that the instructions do not.
            0x80 => drop(self.take(1)?),
            0x95 => {
                let length = self.unsigned(8)?;
                self.fits(length)?;
            }
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let bits = self.unsigned(4)? as u32;
                self.push(Value::Int(i64::from(bits as i32)));
            }
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => {
                self.take(8)?;
                self.push(Value::Number);
            }
            b'I' | b'L' => self.decimal()?,
            b'F' => {
                self.line()?;
                self.push(Value::Number);
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            // Python 2 strings: text wherever a checkpoint has one.
            b'T' => self.text(4)?,
            b'U' => self.text(1)?,
            b'V' => {
                let span = self.line()?;
                self.push(Value::Text(span));
            }
            b'S' => {
                let line = self.line()?;
                let quoted = line.end - line.start >= 2;
                let inset = u32::from(quoted);
                self.push(Value::Text(Span {
                    start: line.start + inset,
                    end: line.end - inset,
                }));
            }
            b'C' => self.blob(1)?,
            b'B' => self.blob(4)?,
            0x8e | 0x96 => self.blob(8)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.discard()?,
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let top = self.pop()?;
                self.push(top);
                self.push(top);
            }
            b')' => self.push(Value::EmptyTuple),
            b']' => self.make(Node::List(Vec::new()))?,
            b'}' => self.make(Node::Dict(Vec::new()))?,
            0x8f => self.make(Node::Set(Vec::new()))?,
            0x85..=0x87 => {
                let items = self.top(usize::from(self.opcode - 0x84))?;
                self.make(Node::Tuple(items))?;
            }
            b't' => {
                let items = self.since_mark()?;
                match items.is_empty() {
                    true => self.push(Value::EmptyTuple),
                    false => self.make(Node::Tuple(items))?,
                }
            }
            b'l' => {
                let items = self.since_mark()?;
                self.make(Node::List(items))?;
            }
            b'd' => {
                let items = self.pairs()?;
                self.make(Node::Dict(items))?;
            }
            0x91 => {
                let items = self.since_mark()?;
                self.make(Node::Set(items))?;
            }
            b'a' => {
                let items = self.top(1)?;
                self.append(items)?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let items = self.top(2)?;
                self.set_items(items)?;
            }
            b'u' => {
                let items = self.pairs()?;
                self.set_items(items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => match self.top(2)?[..] {
                [Value::Text(module), Value::Text(name)] => {
                    self.push(Value::Global(module, name));
                }
                _ => return Err(self.misfit()),
            },
            b'P' => {
                let line = self.line()?;
                self.make(Node::Persistent(Value::Text(line)))?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.make(Node::Persistent(id))?;
            }
            b'R' | 0x81 => {
                let parts = self.top(2)?;
                self.object(parts[0], parts[1])?;
            }
            0x92 => {
                let parts = self.top(3)?;
                self.object(parts[0], parts[1])?;
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let args = self.since_mark()?;
                self.call(Value::Global(module, name), args)?;
            }
            b'o' => {
                let mut args = self.since_mark()?;
                if args.is_empty() {
                    return Err(self.misfit());
                }
                let class = args.remove(0);
                self.call(class, args)?;
            }
            b'b' => {
                let state = self.pop()?;
                match self.target()? {
                    Node::Object(object) => object.state = state,
                    _ => return Err(self.misfit()),
                }
            }
            b'q' => {
                let key = self.unsigned(1)?;
                self.remember(key)?;
            }
            b'r' => {
                let key = self.unsigned(4)?;
                self.remember(key)?;
            }
            b'p' => {
                let key = self.key()?;
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => {
                let key = self.unsigned(1)?;
                self.recall(key)?;
            }
            b'j' => {
                let key = self.unsigned(4)?;
                self.recall(key)?;
            }
            b'g' => {
                let key = self.key()?;
                self.recall(key)?;
            }
            opcode => {
                let at = self.start;
                return Err(PickleError::Opcode { at, opcode });
            }
        }
        Ok(())
    }

    fn misfit(&self) -> PickleError {
        PickleError::Stack {
            at: self.start,
            opcode: self.opcode,
        }
    }

    fn limit(&self, what: &'static str, limit: usize) -> PickleError {
        let at = self.start;
        PickleError::Limit { at, what, limit }
    }

    fn fits(&self, needed: u64) -> Result<usize, PickleError> {
        let available = (self.bytes.len() - self.at) as u64;
        if needed > available {
            return Err(PickleError::Truncated {
                at: self.start,
                needed,
                available,
            });
        }
        // A text may carry the position beyond `LONGEST`, and `Span` only holds 32 bits.
        if self.at as u64 + needed > u64::from(u32::MAX) {
            return Err(self.limit("bytes", LONGEST));
        }
        Ok(needed as usize)
    }

    fn take(&mut self, needed: u64) -> Result<&'a [u8], PickleError> {
        let n = self.fits(needed)?;
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    fn span(&mut self, needed: u64) -> Result<Span, PickleError> {
        let start = self.at as u32;
        let n = self.take(needed)?.len();
        Ok(Span {
            start,
            end: start + n as u32,
        })
    }

    fn unsigned(&mut self, width: u64) -> Result<u64, PickleError> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |w, &b| w << 8 | u64::from(b)))
    }

    /// The text up to a line feed, which is passed over.
    fn line(&mut self) -> Result<Span, PickleError> {
        /// No line of a pickle, which holds a name or a number, is as long.
        const LONGEST_LINE: usize = 1 << 16;
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(LONGEST_LINE)];
        let Some(length) = window.iter().position(|&b| b == b'\n') else {
            return Err(PickleError::Truncated {
                at: self.start,
                needed: window.len() as u64 + 1,
                available: window.len() as u64,
            });
        };
        let span = self.span(length as u64)?;
        self.at += 1;
        Ok(span)
    }

    fn number(&self, line: Span) -> Option<i64> {
        let text = &self.bytes[line.start as usize..line.end as usize];
        let text = std::str::from_utf8(text).ok()?;
        text.strip_suffix('L').unwrap_or(text).parse().ok()
    }

    fn decimal(&mut self) -> Result<(), PickleError> {
        let line = self.line()?;
        let text = &self.bytes[line.start as usize..line.end as usize];
        let value = match text {
            b"00" => Value::Bool(false),
            b"01" => Value::Bool(true),
            _ => self.number(line).map_or(Value::Number, Value::Int),
        };
        self.push(value);
        Ok(())
    }

    fn key(&mut self) -> Result<u64, PickleError> {
        let line = self.line()?;
        let key = self.number(line).and_then(|n| u64::try_from(n).ok());
        key.ok_or_else(|| self.misfit())
    }

    fn integer(&mut self, width: u64) -> Result<(), PickleError> {
        let n = self.unsigned(width)?;
        self.push(Value::Int(n as i64));
        Ok(())
    }

    /// Two's complement of any length.
    fn long(&mut self, width: u64) -> Result<(), PickleError> {
        let length = self.unsigned(width)?;
        let bytes = self.take(length)?;
        let value = match bytes {
            [] => Value::Int(0),
            [.., last] if bytes.len() <= 8 => {
                let fill = if last & 0x80 == 0 { 0 } else { -1i64 };
                let fold = |w: i64, &b: &u8| w << 8 | i64::from(b);
                Value::Int(bytes.iter().rev().fold(fill, fold))
            }
            _ => Value::Number,
        };
        self.push(value);
        Ok(())
    }

    fn text(&mut self, width: u64) -> Result<(), PickleError> {
        let length = self.unsigned(width)?;
        let span = self.span(length)?;
        self.push(Value::Text(span));
        Ok(())
    }

    fn blob(&mut self, width: u64) -> Result<(), PickleError> {
        let length = self.unsigned(width)?;
        self.take(length)?;
        self.push(Value::Bytes);
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn make(&mut self, node: Node) -> Result<(), PickleError> {
        // The smallest object with parts takes an opcode and a memo or a parent.
        let limit = MOST_NODES.min(self.at / 2 + 1024);
        if self.nodes.len() >= limit {
            return Err(self.limit("objects", limit));
        }
        self.push(Value::Node(self.nodes.len() as u32));
        self.nodes.push(node);
        Ok(())
    }

    fn object(&mut self, callable: Value, args: Value) -> Result<(), PickleError> {
        self.make(Node::Object(Box::new(Object {
            callable,
            args,
            state: Value::None,
            entries: Vec::new(),
            list: Vec::new(),
        })))
    }

    fn call(&mut self, callable: Value, args: Vec<Value>) -> Result<(), PickleError> {
        self.make(Node::Tuple(args))?;
        let args = self.pop()?;
        self.object(callable, args)
    }

    /// The stack above the innermost mark is what instructions may consume.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        if self.stack.len() <= self.floor() {
            return Err(self.misfit());
        }
        self.stack.pop().ok_or_else(|| self.misfit())
    }

    /// `POP` also removes a mark.
    fn discard(&mut self) -> Result<(), PickleError> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn top(&mut self, count: usize) -> Result<Vec<Value>, PickleError> {
        let from = self.stack.len().checked_sub(count);
        match from.filter(|&from| from >= self.floor()) {
            Some(from) => Ok(self.stack.split_off(from)),
            None => Err(self.misfit()),
        }
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        let from = self.marks.pop().ok_or_else(|| self.misfit())?;
        Ok(self.stack.split_off(from))
    }

    fn pairs(&mut self) -> Result<Vec<Value>, PickleError> {
        let items = self.since_mark()?;
        match items.len() % 2 {
            0 => Ok(items),
            _ => Err(self.misfit()),
        }
    }

    /// The object on top of the stack.
    fn target(&mut self) -> Result<&mut Node, PickleError> {
        let misfit = self.misfit();
        let inside = self.stack.len() > self.floor();
        match self.stack.last() {
            Some(Value::Node(id)) if inside => self.nodes.get_mut(*id as usize).ok_or(misfit),
            _ => Err(misfit),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), PickleError> {
        let misfit = self.misfit();
        match self.target()? {
            Node::List(list) | Node::Set(list) => list.extend(items),
            Node::Object(object) => object.list.extend(items),
            _ => return Err(misfit),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), PickleError> {
        let misfit = self.misfit();
        match self.target()? {
            Node::Dict(entries) => entries.extend(items),
            Node::Object(object) => object.entries.extend(items),
            _ => return Err(misfit),
        }
        Ok(())
    }

    fn remember(&mut self, key: u64) -> Result<(), PickleError> {
        let misfit = self.misfit();
        let top = self.pop()?;
        self.push(top);
        self.memo
            .insert(u32::try_from(key).map_err(|_| misfit)?, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), PickleError> {
        let misfit = self.misfit();
        let key = u32::try_from(key).map_err(|_| misfit.clone())?;
        let value = *self.memo.get(&key).ok_or(misfit)?;
        self.push(value);
        Ok(())
    }
}
