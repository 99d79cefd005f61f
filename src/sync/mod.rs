//! The node's side of the control plane: registers, says how it is, pulls policy, keeps the last good one.
