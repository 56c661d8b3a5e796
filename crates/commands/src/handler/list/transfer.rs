//! Moving an element from one list to another.

use bytes::Bytes;
use datatypes::list::End;
use datatypes::{Keyspace, KvMut};

use super::super::{Outcome, bulk_or_null, keyspace};
use super::{edit, end, entry, popped, pushed};
use crate::{Args, CommandError, Cx};

/// LMOVE source destination LEFT|RIGHT LEFT|RIGHT
pub fn lmove(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let transfer = Transfer::parse(args)?;
    Ok(bulk_or_null(transfer.execute(kv, cx)?))
}

/// RPOPLPUSH source destination
pub fn rpoplpush(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let transfer = Transfer::right_to_left(args)?;
    Ok(bulk_or_null(transfer.execute(kv, cx)?))
}

/// From an end of a list to an end of a list, the same one perhaps.
pub(super) struct Transfer<'a> {
    source: &'a [u8],
    destination: &'a [u8],
    from: End,
    to: End,
}

impl<'a> Transfer<'a> {
    /// source destination LEFT|RIGHT LEFT|RIGHT
    pub fn parse(args: &Args<'a>) -> Result<Self, CommandError> {
        let (from, to) = (end(args.at(2)?)?, end(args.at(3)?)?);
        Ok(Self { from, to, ..Self::right_to_left(args)? })
    }

    pub fn right_to_left(args: &Args<'a>) -> Result<Self, CommandError> {
        Ok(Self { source: args.at(0)?, destination: args.at(1)?, from: End::Back, to: End::Front })
    }

    /// The element that was moved; `None` without a source.
    pub fn execute(&self, kv: &mut dyn KvMut, cx: &Cx) -> Result<Option<Bytes>, CommandError> {
        let mut keyspace = keyspace(kv, cx);
        if entry(&mut keyspace, self.source)?.live().is_none() {
            return Ok(None);
        }
        if self.source == self.destination {
            return self.rotate(&mut keyspace, cx);
        }
        // Before anything is taken: it must be a list too.
        entry(&mut keyspace, self.destination)?;
        let mut source = edit(&mut keyspace, self.source, cx)?;
        let Some(element) = source.pop(self.from)? else { return Ok(None) };
        source.save()?;
        let mut destination = edit(&mut keyspace, self.destination, cx)?;
        destination.push(self.to, &[&element])?;
        destination.save()?;
        self.announce(&mut keyspace)?;
        Ok(Some(element))
    }

    fn rotate(&self, keyspace: &mut Keyspace<'_>, cx: &Cx) -> Result<Option<Bytes>, CommandError> {
        let mut list = edit(keyspace, self.source, cx)?;
        let Some(element) = list.pop(self.from)? else { return Ok(None) };
        list.push(self.to, &[&element])?;
        list.save()?;
        self.announce(keyspace)?;
        Ok(Some(element))
    }

    /// In Redis's order.
    fn announce(&self, keyspace: &mut Keyspace<'_>) -> Result<(), CommandError> {
        keyspace.announce(self.destination, pushed(self.to));
        Ok(keyspace.announce_taken(self.source, popped(self.from))?)
    }
}
