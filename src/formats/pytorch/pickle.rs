//! A pickle as plain data: nothing in it is ever called.
//!
//! Python's unpickler is a stack machine whose `REDUCE`, `NEWOBJ` and `BUILD` call what the file
//! names. Here those opcodes only record the name and the arguments, and
//! [`walk`](crate::formats::pytorch::walk) gives a meaning to a handful of names.
//! Opcodes: Python's `pickletools`, protocols 0 to 5.

use super::machine::Machine;

/// What is wrong with a pickle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The stream ends inside an instruction, or a length in it points beyond the end.
    #[error(
        "truncated: the instruction at byte {at} needs {needed} bytes, there are {available}; copy or download it again"
    )]
    Truncated {
        /// Offset of the instruction.
        at: usize,
        /// Bytes of its argument.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// An instruction that no `torch.save` writes.
    #[error(
        "the instruction {opcode:#04x} at byte {at} is not one that Isometer reads; damaged or hostile"
    )]
    Opcode {
        /// Offset of the instruction.
        at: usize,
        /// The byte.
        opcode: u8,
    },
    /// An instruction whose operands are not on the stack.
    #[error(
        "the instruction {opcode:#04x} at byte {at} does not fit the stack; damaged or hostile"
    )]
    Stack {
        /// Offset of the instruction.
        at: usize,
        /// The byte.
        opcode: u8,
    },
    /// More objects or bytes than the limits allow.
    #[error("the pickle has more than {limit} {what} at byte {at}; hostile, or not a checkpoint")]
    Limit {
        /// Offset of the instruction.
        at: usize,
        /// `objects` or `bytes`.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
}

/// A part of the pickle's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// An object as far as it is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A float, or an integer of more than 64 bits: never part of a tensor's description.
    Number,
    Text(Span),
    Bytes,
    Global(Span, Span),
    EmptyTuple,
    Node(u32),
}

/// An object with parts.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    /// Keys and values by turns.
    Dict(Vec<Value>),
    Set(Vec<Value>),
    Persistent(Value),
    Object(Box<Object>),
}

/// What a call would have made.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) callable: Value,
    pub(super) args: Value,
    /// What `BUILD` would have put into it.
    pub(super) state: Value,
    /// What `SETITEMS` would have: keys and values by turns.
    pub(super) entries: Vec<Value>,
    /// What `APPENDS` would have.
    pub(super) list: Vec<Value>,
}

/// A parsed pickle.
pub(super) struct Pickle<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) nodes: Vec<Node>,
    pub(super) root: Value,
    /// Offset after the `STOP`.
    pub(super) end: usize,
}

impl<'a> Pickle<'a> {
    /// Reads one pickle from the start of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Pickle<'a>, PickleError> {
        Machine::new(bytes).run()
    }

    pub(super) fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(id) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    /// The persistent ids of everything that lies outside the pickle.
    pub(super) fn persistent_ids(&self) -> impl Iterator<Item = Value> + '_ {
        self.nodes.iter().filter_map(|node| match node {
            Node::Persistent(id) => Some(*id),
            _ => None,
        })
    }

    /// The items of a tuple.
    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.node(value) {
            Some(Node::Tuple(items)) => Some(items),
            _ if value == Value::EmptyTuple => Some(&[]),
            _ => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<String> {
        match value {
            Value::Text(span) => Some(self.span(span)),
            _ => None,
        }
    }

    /// `module.name`.
    pub(super) fn global(&self, value: Value) -> Option<String> {
        match value {
            Value::Global(module, name) => {
                Some(format!("{}.{}", self.span(module), self.span(name)))
            }
            _ => None,
        }
    }

    fn span(&self, span: Span) -> String {
        String::from_utf8_lossy(&self.bytes[span.start as usize..span.end as usize]).into_owned()
    }
}
