//! Makes load in the open model: requests start when the schedule says so, whatever the target
//! does, and each is measured from its intended start.
