//! Drives the real binary as the kubelet drives it, and holds the project to its own rules.

mod house;
