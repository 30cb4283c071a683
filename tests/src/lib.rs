//! One integration binary: the virtual world, end-to-end, faults, interop.
