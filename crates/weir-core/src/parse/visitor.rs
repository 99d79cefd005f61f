//! [`ValueVisitor`]: what is done with each value once parsers have seen it.

use crate::model::{FormId, PointId, PointTree, Stop, Value};

/// Receives each value of a message as soon as every parser has been tried on it.
pub trait ValueVisitor<'a> {
    /// Inspects `value`, whose point is in `tree`. An error ends the inspection of the current part of the message.
    fn visit(&mut self, value: &Value<'a>, tree: &PointTree<'a>) -> Result<(), Stop>;

    /// Reports that decoding led to the bytes of `form` again, at `point`. They are not visited a second time.
    fn reached_again(&mut self, form: FormId, point: PointId, tree: &PointTree<'a>);

    /// A position in what was recorded so far, for [`Self::rollback`].
    fn position(&self) -> usize;

    /// Discards what was recorded since `position`: a parser found that its input has another syntax.
    fn rollback(&mut self, position: usize);
}

/// Visits nothing: for callers that read the values from the extraction.
pub(super) struct Collect;

impl<'a> ValueVisitor<'a> for Collect {
    fn visit(&mut self, _: &Value<'a>, _: &PointTree<'a>) -> Result<(), Stop> {
        Ok(())
    }

    fn reached_again(&mut self, _: FormId, _: PointId, _: &PointTree<'a>) {}

    fn position(&self) -> usize {
        0
    }

    fn rollback(&mut self, _: usize) {}
}
