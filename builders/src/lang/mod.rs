//! One file per language: what is particular to it, and nothing that two of them share.

pub mod go;
pub mod java;
pub mod nodejs;
pub mod python;
pub mod rust;
