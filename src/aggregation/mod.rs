//! `weir aggregation`: stands for the control plane towards the nodes of a group: takes their events into its own spool, gives
//! them policy from one upstream connection.
