//! placeholder

pub mod clock;
pub mod memory;
pub mod policy;
